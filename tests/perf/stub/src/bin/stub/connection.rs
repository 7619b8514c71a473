//! One connection: the request that is being read, and what is to be written.

use perflab::*;

pub enum Body {
    None,
    Len(u64),
    Chunked(Chunked),
}

pub struct Conn {
    pub io: Io,
    pub gen: u32,
    pub rbuf: Vec<u8>,
    // The request being read.
    pub head: Option<Vec<u8>>,
    pub body: Body,
    pub lead: Vec<u8>, // first bytes of the body
    // Output not yet written.
    pub out: Vec<u8>,
    pub out_pos: usize,
    // SSE state.
    pub sse_left: u32,
    pub sse_seq: u32,
    pub sse_interval: u64,
    pub sse_pad: usize,
    /// The stream is a model's.
    pub is_model: bool,
    pub waiting_write: bool,
    pub close_after: bool,
}

impl Conn {
    pub fn new(io: Io, gen: u32) -> Self {
        Self {
            io,
            gen,
            rbuf: Vec::new(),
            head: None,
            body: Body::None,
            lead: Vec::new(),
            out: Vec::new(),
            out_pos: 0,
            sse_left: 0,
            sse_seq: 0,
            sse_interval: 0,
            sse_pad: 0,
            is_model: false,
            waiting_write: false,
            close_after: false,
        }
    }

    pub fn start(&mut self, head: Vec<u8>) {
        self.lead.clear();
        self.body = if let Some(v) = header(&head, "content-length") {
            match v.iter().fold(0u64, |a, b| a * 10 + b.wrapping_sub(b'0') as u64) {
                0 => Body::None,
                n => Body::Len(n),
            }
        } else if header(&head, "transfer-encoding").is_some_and(|v| contains_ci(v, b"chunked")) {
            Body::Chunked(Chunked::default())
        } else {
            Body::None
        };
        self.head = Some(head);
    }
}
