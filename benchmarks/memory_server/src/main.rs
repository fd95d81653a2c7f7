//! An S3 server that keeps everything in memory, so that a benchmark measures its client rather than the server.
//!
//! Signatures and the SHA-256 of signed payloads are checked; other checksums are not. It is configured by the
//! environment:
//!
//! - `MEMORY_SERVER_PORT`: on 127.0.0.1; default 0, any free one
//! - `MEMORY_SERVER_ACCESS_KEY_ID`, `MEMORY_SERVER_SECRET_ACCESS_KEY`: required
//! - `MEMORY_SERVER_DISCARD`: prefix of keys whose bodies are counted and discarded, for uploads larger than memory
//! - `MEMORY_SERVER_ZEROS`: Base64 of the wrapping key of a client that encrypts zeros; such bodies are generated again
//!   when they are read
//! - `MEMORY_SERVER_LATENCY`: milliseconds before each request is answered; default 0
//! - `MEMORY_SERVER_UP`, `MEMORY_SERVER_DOWN`: bytes per second of each connection from and to the client; default: no
//!   limit
//!
//! It prints its address when it is ready, and runs until it is killed. `GET /-/moved` returns the number of requests
//! and bytes so far, without a signature.

mod line;
mod objects;
mod service;
mod zeros;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};

use crate::line::{Connection, Line, Moved};
use crate::service::Memory;
use crate::zeros::Zeros;

/// The path of the numbers. No bucket has such a name.
const MOVED: &str = "/-/moved";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let zeros = text("ZEROS").ok().map(|key| Zeros::new(&key)).transpose()?;
    let mut builder = S3ServiceBuilder::new(Memory::new(text("DISCARD").ok(), zeros));
    builder.set_auth(SimpleAuth::from_single(text("ACCESS_KEY_ID")?, text("SECRET_ACCESS_KEY")?));
    let service = builder.build();
    let line = Line {
        latency: Duration::from_millis(number("LATENCY")?.unwrap_or(0)),
        up: number("UP")?,
        down: number("DOWN")?,
    };
    let moved = Arc::new(Moved::default());

    let port = u16::try_from(number("PORT")?.unwrap_or(0))?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(serve(socket, service.clone(), line, moved.clone()));
    }
}

/// A setting that is not empty.
fn text(name: &str) -> Result<String, String> {
    let name = format!("MEMORY_SERVER_{name}");
    std::env::var(&name).ok().filter(|value| !value.is_empty()).ok_or_else(|| format!("{name} is missing"))
}

fn number(name: &str) -> Result<Option<u64>, String> {
    let parsed = text(name).ok().map(|value| value.parse::<u64>());
    parsed.transpose().map_err(|error| format!("MEMORY_SERVER_{name}: {error}"))
}

/// Answers the requests of one connection.
async fn serve(socket: TcpStream, s3: S3Service, line: Line, moved: Arc<Moved>) {
    let connection = Connection::new(socket, line, moved.clone());
    let answers = service_fn(move |request: Request<Incoming>| {
        let (s3, moved) = (s3.clone(), moved.clone());
        async move {
            if request.uri().path() == MOVED {
                return Ok(Response::new(s3s::Body::from(moved.to_json())));
            }
            moved.requests.fetch_add(1, Ordering::Relaxed);
            if !line.latency.is_zero() {
                tokio::time::sleep(line.latency).await;
            }
            Service::call(&s3, request).await
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    // A client that closes the connection is not an error of the server.
    let _ = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(connection), answers).await;
}
