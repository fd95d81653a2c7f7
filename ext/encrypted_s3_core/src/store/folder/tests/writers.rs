//! Several writers of one object, as in separate processes.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_one_of_several_conditional_writers_creates_the_object() {
    let (root, store) = store();
    for number in 0..20 {
        let key = format!("key{number}");
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..4u8 {
            let (store, object) = (FolderStore::new(root.path().to_owned()), object(&key, &[]));
            tasks.spawn(async move { store.put_if_absent(object, Bytes::from(vec![writer; 9])).await.map(|_| writer) });
        }
        let (stored, refused): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((stored.len(), refused.len()), (1, 3));
        assert!(refused.into_iter().all(|error| error.unwrap_err().kind() == ErrorKind::Changed));
        let winner = stored.into_iter().next().unwrap().unwrap();
        assert_eq!(read(&store, &key, None).await.unwrap().1, [winner; 9]);
    }
}

/// Each store opens the lock itself, as separate processes do.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_whole_objects_while_several_writers_replace_and_delete_them() {
    let (root, store) = store();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..4u8 {
        let store = FolderStore::new(root.path().to_owned());
        tasks.spawn(async move {
            for round in 0..60u8 {
                let size = usize::from(round) * 997 + 1;
                let metadata = [("writer", writer.to_string()), ("size", size.to_string())];
                let metadata: Vec<_> = metadata.iter().map(|(name, value)| (*name, value.as_str())).collect();
                store.put(object("key", &metadata), Bytes::from(vec![writer; size])).await.unwrap();
                if round % 7 == 0 {
                    store.delete("key").await.unwrap();
                }
            }
        });
    }
    for _ in 0..2 {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..400 {
                match read(&store, "key", None).await {
                    Ok((head, body)) => {
                        assert_eq!(body.len().to_string(), head.metadata["size"]);
                        assert!(body.iter().all(|byte| byte.to_string() == head.metadata["writer"]));
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    store.delete("key").await.unwrap();
    assert_eq!(everything(root.path()), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_one_of_several_changes_of_one_version_succeeds() {
    let (root, store) = store();
    for _ in 0..20 {
        let version = put(&store, "key", b"body").await;
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..4 {
            let store = FolderStore::new(root.path().to_owned());
            let etag = version.etag.clone();
            let replacement = Replacement { metadata: vec![("by".to_owned(), number.to_string())], acl: None };
            tasks.spawn(async move { store.replace_metadata("key", &etag, replacement).await.map(drop) });
        }
        let ended = tasks.join_all().await;
        assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1);
        let kinds = ended.into_iter().filter_map(Result::err).map(|error| error.kind());
        assert!(kinds.into_iter().all(|kind| kind == ErrorKind::Changed));
    }
}
