//! An S3 server that keeps everything in memory, so that a benchmark measures its client rather than the server.
//!
//! Signatures and the SHA-256 of signed payloads are checked; other checksums are not. It is told what to do by the
//! environment:
//!
//! - `MEMORY_SERVER_PORT`: on 127.0.0.1; default 0, any free one
//! - `MEMORY_SERVER_ACCESS_KEY_ID`, `MEMORY_SERVER_SECRET_ACCESS_KEY`: required
//! - `MEMORY_SERVER_DISCARD`: bodies of keys that begin so are counted and thrown away, for uploads larger than memory
//!
//! It prints its address when it is ready, and ends when it is killed.

mod objects;
mod service;

use std::error::Error;

use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;

use crate::service::Memory;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name: &str| std::env::var(format!("MEMORY_SERVER_{name}"));
    let port = setting("PORT").map_or(Ok(0), |port| port.parse::<u16>())?;
    let discard = setting("DISCARD").ok().filter(|prefix| !prefix.is_empty());
    let mut builder = S3ServiceBuilder::new(Memory::new(discard));
    builder.set_auth(SimpleAuth::from_single(setting("ACCESS_KEY_ID")?, setting("SECRET_ACCESS_KEY")?));
    let service = builder.build();

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let service = service.clone();
        tokio::spawn(async move {
            // A client that goes away is no fault of the server.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}
