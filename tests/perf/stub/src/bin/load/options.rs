//! Options of the command line, and the request that they describe.

pub const BODY: &str = r#"{"question":"Hello, who are you?","streaming":false}"#;

/// What stands on the command line.
pub struct Opt {
    pub args: Vec<String>,
}

impl Opt {
    pub fn get(&self, n: &str) -> Option<&str> {
        self.args.iter().position(|a| a == n).and_then(|i| self.args.get(i + 1)).map(|s| s.as_str())
    }
    pub fn num(&self, n: &str, d: u64) -> u64 {
        self.get(n).map(|v| v.parse().unwrap_or_else(|_| panic!("{n}: not a number"))).unwrap_or(d)
    }
    pub fn has(&self, n: &str) -> bool {
        self.args.iter().any(|a| a == n)
    }
    pub fn to(&self) -> &str {
        self.get("--to").expect("--to IP:PORT")
    }
    pub fn all(&self, n: &str) -> Vec<&str> {
        let a = &self.args;
        (0..a.len()).filter(|&i| a[i] == n && i + 1 < a.len()).map(|i| a[i + 1].as_str()).collect()
    }
    pub fn head(&self, len: usize) -> Vec<u8> {
        self.head_with(len, &self.all("-H"))
    }
    pub fn head_with(&self, len: usize, headers: &[&str]) -> Vec<u8> {
        let mut s = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n",
            self.get("--path").unwrap_or("/")
        );
        for h in headers {
            s.push_str(h);
            s.push_str("\r\n");
        }
        s.push_str("\r\n");
        s.into_bytes()
    }
    pub fn request(&self, body: &str) -> Vec<u8> {
        let mut r = self.head(body.len());
        r.extend_from_slice(body.as_bytes());
        r
    }
}
