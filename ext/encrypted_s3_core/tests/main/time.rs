//! Stores and networks that are slow or stall: slow responses arrive, and every wait has a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use encrypted_s3_core::ErrorKind;
use encrypted_s3_core::download::{Download, DownloadPlan, RangePlan};
use encrypted_s3_core::store::{
    AwsStore, AwsStoreSettings, ChecksumUse, ConnectionSettings, Credentials, MemoryStore, SecretText,
};
use encrypted_s3_core::upload::{PartPlan, Upload, UploadOptions};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Now as _, under};

const MIB: usize = 1 << 20;
const PARTS: PartPlan = PartPlan { multipart_threshold: 64 * MIB, part_size: 8 * MIB, concurrency: 2 };
const READING: DownloadPlan = DownloadPlan {
    ranges: RangePlan { size: RangePlan::SIZE, concurrency: 2 },
    memory_limit: 16 << 20,
    segment_index: true,
    maps: None,
    map_settings: None,
};

/// A store over HTTP that answers each request as `answer` does. Counts the requests.
async fn serve<F, A>(answer: F) -> (Arc<AwsStore>, Arc<AtomicUsize>)
where
    F: Fn(Request) -> A + Clone + Send + 'static,
    A: Future<Output = Option<()>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = requests.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, answer) = (seen.clone(), answer.clone());
            tokio::spawn(async move {
                if let Some(request) = Request::read(stream).await {
                    seen.fetch_add(1, Ordering::SeqCst);
                    answer(request).await;
                }
            });
        }
    });
    let connection = ConnectionSettings {
        region: Some("us-east-1".into()),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        force_path_style: true,
        credentials: Some(Credentials {
            access_key_id: "id".into(),
            secret_access_key: SecretText::new("secret".into()),
            session_token: None,
        }),
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(1),
        max_attempts: 2,
        request_checksums: ChecksumUse::WhenRequired,
        response_checksums: ChecksumUse::WhenRequired,
        ..ConnectionSettings::default()
    };
    let settings = AwsStoreSettings { bucket: "b".into(), expected_bucket_owner: None, connection };
    (Arc::new(AwsStore::new(settings)), requests)
}

/// One request whose body is not read yet. The connection is used for this request only.
struct Request {
    stream: BufReader<TcpStream>,
    length: usize,
    range: Option<(usize, usize)>,
}

impl Request {
    async fn read(stream: TcpStream) -> Option<Self> {
        let mut request = Self { stream: BufReader::with_capacity(16 * 1024, stream), length: 0, range: None };
        loop {
            let mut line = String::new();
            if request.stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            match line.trim().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => request.length = value.parse().ok()?,
                Some(("range", value)) => {
                    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
                    request.range = Some((first.parse().ok()?, last.parse().ok()?));
                }
                _ if line == "\r\n" => return Some(request),
                _ => {}
            }
        }
    }

    async fn take(&mut self, most: usize) -> Option<usize> {
        let mut room = vec![0; most.min(self.length)];
        self.stream.read_exact(&mut room).await.ok()?;
        self.length -= room.len();
        Some(room.len())
    }

    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.get_mut().write_all(bytes).await.ok()
    }

    async fn stored(&mut self) -> Option<()> {
        self.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\netag: \"x\"\r\nconnection: close\r\n\r\n").await
    }

    /// Sends the wanted range of `body` up to its byte `end`, which may be before the end of the range.
    async fn send(&mut self, metadata: &[(String, String)], body: &[u8], end: usize) -> Option<()> {
        let (first, last) = self.range?;
        let last = last.min(body.len() - 1);
        let length = last + 1 - first;
        let mut head = format!(
            "HTTP/1.1 206 Partial Content\r\ncontent-length: {length}\r\netag: \"x\"\r\nconnection: close\r\n\
             content-range: bytes {first}-{last}/{}\r\n",
            body.len()
        );
        for (name, value) in metadata {
            head += &format!("x-amz-meta-{name}: {value}\r\n");
        }
        self.write(format!("{head}\r\n").as_bytes()).await?;
        self.write(body.get(first..(last + 1).min(end))?).await
    }
}

async fn silence() -> Option<()> {
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    None
}

/// The metadata and the body of an object of `size` bytes.
async fn object(size: usize) -> (Vec<(String, String)>, Vec<u8>) {
    let memory = MemoryStore::new();
    let mut upload =
        Upload::begin(Arc::new(memory.clone()), &under(&[1; 32]), PARTS, "k", UploadOptions::default()).now().unwrap();
    upload.write(&vec![7; size]).await.unwrap();
    upload.finish().await.unwrap();
    let (object, body) = memory.object("k").unwrap();
    (object.metadata, body.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_body_is_requested_again_from_its_position() {
    let (metadata, body) = object(100_000).await;
    let (store, requests) = serve(move |mut request: Request| {
        let (metadata, body) = (metadata.clone(), body.clone());
        async move {
            let first = request.range?.0;
            request.send(&metadata, &body, if first == 0 { 60_000 } else { usize::MAX }).await?;
            silence().await
        }
    })
    .await;
    let mut download = Download::open(store, &under(&[1; 32]), &READING, "k").await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(30), download.next()).await.expect("it must not hang");
    assert_eq!(read.unwrap().unwrap(), vec![7; 100_000]);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_bodies_always_stall_is_an_error() {
    let (metadata, body) = object(100_000).await;
    let (store, requests) = serve(move |mut request: Request| {
        let (metadata, body) = (metadata.clone(), body.clone());
        async move {
            request.send(&metadata, &body, 100).await?;
            silence().await
        }
    })
    .await;
    let mut download = Download::open(store, &under(&[1; 32]), &READING, "k").await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(45), download.next()).await.expect("it must not hang");
    let error = read.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.to_string().contains("no progress"), "{error}");
    assert!(requests.load(Ordering::SeqCst) > 2, "it is retried first");
}

async fn upload(store: Arc<AwsStore>, size: usize) -> (encrypted_s3_core::Result<()>, Duration) {
    let begin = Instant::now();
    let mut upload = Upload::begin(store, &under(&[1; 32]), PARTS, "k", UploadOptions::default()).now().unwrap();
    let stored = async {
        upload.write(&vec![1; size]).await?;
        upload.finish().await.map(drop)
    };
    let stored = tokio::time::timeout(Duration::from_secs(90), stored).await.expect("it must not hang");
    (stored, begin.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_connection_is_not_an_error() {
    // 5 MiB/s with short pauses; the limit without progress is one second.
    let (store, requests) = serve(|mut request: Request| async move {
        while request.take(256 * 1024).await? > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        request.stored().await
    })
    .await;
    let (stored, took) = upload(store, 20 * MIB).await;
    stored.unwrap();
    assert!(took > Duration::from_secs(3), "{took:?}");
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_store_does_not_read_fails_within_a_minute() {
    let (store, _) = serve(|mut request: Request| async move {
        request.take(MIB).await?;
        silence().await
    })
    .await;
    let (stored, took) = upload(store, 20 * MIB).await;
    assert_eq!(stored.unwrap_err().kind(), ErrorKind::Transport);
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_never_answers_is_an_error() {
    let (store, requests) = serve(|mut request: Request| async move {
        while request.take(MIB).await? > 0 {}
        silence().await
    })
    .await;
    let (stored, took) = upload(store, 1_000).await;
    assert_eq!(stored.unwrap_err().kind(), ErrorKind::Transport);
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(requests.load(Ordering::SeqCst) >= 2, "it is retried first");
}
