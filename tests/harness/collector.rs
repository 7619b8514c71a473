//! A scripted collector of traces that speaks OTLP over gRPC or HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::otlp::{self, Span};
use super::tls::Authority;
use super::wait_for;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Grpc,
    Http,
}

/// What becomes of an export.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    Taken,
    /// But for so many spans.
    Partly(i64),
    /// A status of HTTP, with `Retry-After`.
    Status(u16, Option<&'static str>),
    /// A status of gRPC.
    Code(u16),
    /// No answer comes.
    Silence,
}

/// One export as it came.
#[derive(Debug, Clone)]
pub(crate) struct Export {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) message: Bytes,
    /// What became of it.
    was_taken: bool,
}

pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    exports: Arc<Mutex<Vec<Export>>>,
}

type Script = dyn Fn(usize) -> Verdict + Send + Sync;
type Frames = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;
type Answer = Response<Frames>;

impl Collector {
    /// Takes everything.
    pub(crate) fn taking(speaks: Speaks) -> Self {
        Self::start(speaks, |_| Verdict::Taken)
    }

    /// `script` is asked about each export, counted from 0.
    pub(crate) fn start(speaks: Speaks, script: impl Fn(usize) -> Verdict + Send + Sync + 'static) -> Self {
        Self::serve(speaks, None, Arc::new(script))
    }

    /// Over TLS, with a certificate of that authority.
    pub(crate) fn over_tls(speaks: Speaks, authority: &Authority) -> Self {
        let (certificate, key) = authority.issue();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config =
            builder.expect("versions").with_no_client_auth().with_single_cert(vec![certificate], key).expect("a pair");
        let protocol: &[u8] = if speaks == Speaks::Grpc { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        Self::serve(speaks, Some(Arc::new(config).into()), Arc::new(|_| Verdict::Taken))
    }

    fn serve(speaks: Speaks, tls: Option<TlsAcceptor>, script: Arc<Script>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let collector = Self { address: listener.local_addr().expect("bound"), exports: Arc::default() };
        let exports = Arc::clone(&collector.exports);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                while let Ok((tcp, _)) = listener.accept().await {
                    let (tls, exports, script) = (tls.clone(), Arc::clone(&exports), Arc::clone(&script));
                    tokio::spawn(async move {
                        match tls {
                            None => connection(speaks, tcp, exports, script).await,
                            Some(tls) => {
                                // Whoever does not trust it goes.
                                if let Ok(stream) = tls.accept(tcp).await {
                                    connection(speaks, stream, exports, script).await;
                                }
                            }
                        }
                    });
                }
            });
        });
        collector
    }

    /// The section of a configuration that sends traces here; `more` goes into it (`, name: value ...`).
    pub(crate) fn section(&self, speaks: Speaks, more: &str) -> String {
        let protocol = if speaks == Speaks::Grpc { "grpc" } else { "http" };
        let sample = if more.contains("sample:") { "" } else { ", sample: 1" };
        let address = self.address;
        format!("telemetry: {{ otlp: {{ endpoint: 'http://{address}', protocol: {protocol}{sample}{more} }} }}\n")
    }

    /// Everything that came, whatever became of it.
    pub(crate) fn exports(&self) -> Vec<Export> {
        self.exports.lock().unwrap().clone()
    }

    /// All spans that were taken.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let exports = self.exports();
        exports.iter().filter(|export| export.was_taken).flat_map(|export| otlp::spans(&export.message)).collect()
    }

    /// Waits until so many spans were taken.
    #[track_caller]
    pub(crate) fn wait_spans(&self, count: usize) -> Vec<Span> {
        wait_for("spans", || Some(self.spans()).filter(|spans| spans.len() >= count))
    }

    /// Waits for the span of the request with that id.
    #[track_caller]
    pub(crate) fn wait_request(&self, request_id: &str) -> Span {
        wait_for("a request's span", || {
            self.spans().into_iter().find(|span| span.get("flowgate.request_id") == request_id)
        })
    }

    /// Waits for so many exports, taken or not.
    #[track_caller]
    pub(crate) fn wait_exports(&self, count: usize) -> Vec<Export> {
        wait_for("exports", || Some(self.exports()).filter(|exports| exports.len() >= count))
    }
}

async fn connection(
    speaks: Speaks,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    exports: Arc<Mutex<Vec<Export>>>,
    script: Arc<Script>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (exports, script) = (Arc::clone(&exports), Arc::clone(&script));
        async move { answer(speaks, request, &exports, &*script).await }
    });
    let io = TokioIo::new(stream);
    // A gateway that ends takes its connections with it.
    let _ = match speaks {
        Speaks::Grpc => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
        Speaks::Http => http1::Builder::new().serve_connection(io, service).await,
    };
}

async fn answer(
    speaks: Speaks,
    request: Request<Incoming>,
    exports: &Mutex<Vec<Export>>,
    script: &Script,
) -> Result<Answer, hyper::Error> {
    let (head, body) = request.into_parts();
    let mut message = body.collect().await?.to_bytes();
    if speaks == Speaks::Grpc {
        assert_eq!(head.headers["content-type"], "application/grpc");
        assert_eq!(head.headers["te"], "trailers");
        let prefix = message.split_to(5);
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap());
        assert_eq!((prefix[0], length as usize), (0, message.len()));
    } else {
        assert_eq!(head.headers["content-type"], "application/x-protobuf");
    }
    assert_eq!(head.method, http::Method::POST);
    let verdict = {
        let mut exports = exports.lock().unwrap();
        let verdict = script(exports.len());
        let was_taken = matches!(verdict, Verdict::Taken | Verdict::Partly(_));
        exports.push(Export { path: head.uri.path().to_owned(), headers: head.headers, message, was_taken });
        verdict
    };
    Ok(match verdict {
        Verdict::Taken => taken(speaks, 0),
        Verdict::Partly(rejected) => taken(speaks, rejected),
        Verdict::Status(status, after) => {
            let mut answer = Response::builder().status(status);
            if let Some(after) = after {
                answer = answer.header("retry-after", after);
            }
            answer.body(frames(Vec::new())).expect("an answer")
        }
        // An answer without a body says so in its head.
        Verdict::Code(code) => Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", code.to_string())
            .body(frames(Vec::new()))
            .expect("an answer"),
        Verdict::Silence => std::future::pending().await,
    })
}

fn taken(speaks: Speaks, rejected: i64) -> Answer {
    let message = otlp::answer(rejected);
    if speaks == Speaks::Http {
        let answer = Response::builder().header("content-type", "application/x-protobuf");
        return answer.body(frames(vec![Frame::data(message.into())])).expect("an answer");
    }
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    let framed = [&[0][..], &length, &message].concat();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a value"));
    let answer = Response::builder().header("content-type", "application/grpc");
    answer.body(frames(vec![Frame::data(framed.into()), Frame::trailers(trailers)])).expect("an answer")
}

fn frames(frames: Vec<Frame<Bytes>>) -> Frames {
    let frames: Vec<_> = frames.into_iter().map(Ok).collect();
    StreamBody::new(stream::iter(frames))
}
