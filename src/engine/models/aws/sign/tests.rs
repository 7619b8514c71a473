use super::*;

fn signature(method: &Method, path: &str, query: &str) -> String {
    let place = SigningScope { host: "example.amazonaws.com", service: "service", region: "us-east-1" };
    let keys = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None);
    let request = SigningRequest { method, path, query, body: b"", target: None };
    let headers = headers(keys, &place, &request, "2015-08-30T12:36:00Z".parse().unwrap());
    assert_eq!(headers[0], ("x-amz-date", "20150830T123600Z".to_owned()));
    headers[1].1.split_once("Signature=").unwrap().1.to_owned()
}

/// Amazon's own examples of requests for files.
#[test]
fn requests_for_files_are_signed_as_amazon_signs_them() {
    let place = SigningScope { host: "examplebucket.s3.amazonaws.com", service: S3, region: "us-east-1" };
    let keys = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None);
    for (query, signature) in [
        ("lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ] {
        let request = SigningRequest { method: &Method::GET, path: "/", query, body: b"", target: None };
        let headers = headers(keys, &place, &request, "2013-05-24T00:00:00Z".parse().unwrap());
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["x-amz-content-sha256", "x-amz-date", "authorization"]);
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                 SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
        );
        assert_eq!(headers[2].1, expected);
    }
}

/// AWS's own suite of tests.
#[test]
fn signatures_are_awss() {
    for (method, query, expected) in [
        (Method::GET, "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (Method::POST, "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            Method::GET,
            "Param1=value1&Param2=value2",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ] {
        assert_eq!(signature(&method, "/", query), expected, "{method} {query}");
    }
}

/// Computed apart, by AWS's description.
#[test]
fn an_operation_is_signed() {
    let place = SigningScope { host: "dynamodb.us-east-1.amazonaws.com", service: "dynamodb", region: "us-east-1" };
    let keys = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None);
    let target = Some("DynamoDB_20120810.GetItem");
    let request = SigningRequest { method: &Method::POST, path: "/", query: "", body: b"{}", target };
    let headers = headers(keys, &place, &request, "2015-08-30T12:36:00Z".parse().unwrap());
    let proof = "SignedHeaders=host;x-amz-date;x-amz-target, \
                     Signature=f9b34e28ef8019b4be443c31d79c585fd6271455bc6a8bd120916e61c82f0e9c";
    assert!(headers[1].1.ends_with(proof), "{}", headers[1].1);
}

#[test]
fn keys_that_end_say_so() {
    let place = SigningScope { host: "h", service: "bedrock", region: "r" };
    let request =
        SigningRequest { method: &Method::POST, path: "/model/a%3A0/converse", query: "", body: b"{}", target: None };
    let headers = headers(("id", "secret", Some("token")), &place, &request, Timestamp::UNIX_EPOCH);
    assert_eq!(headers[1], ("x-amz-security-token", "token".to_owned()));
    assert!(headers[2].1.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"), "{}", headers[2].1);
    assert_eq!(query(&[("maxResults", "100"), ("type", "A_B")]), "maxResults=100&type=A_B");
}
