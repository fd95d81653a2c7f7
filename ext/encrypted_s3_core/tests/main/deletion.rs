//! Operations on many objects.

use std::sync::Arc;

use encrypted_s3_core::deletion::delete_prefixed;
use encrypted_s3_core::store::{MemoryStore, NewObject};

#[tokio::test]
async fn exactly_the_objects_with_the_prefix_are_deleted_over_several_pages() {
    let memory = MemoryStore::new();
    for key in ["a", "b/1", "b/2", "b/3", "b/4", "b/5", "b", "bc"] {
        memory.replace(NewObject { key: key.into(), ..Default::default() }, "");
    }
    delete_prefixed(Arc::new(memory.clone()), "b/".into()).await.unwrap();
    assert!(memory.calls("list") > 1);
    for key in ["b/1", "b/2", "b/3", "b/4", "b/5"] {
        assert!(memory.object(key).is_none(), "{key}");
    }
    for key in ["a", "b", "bc"] {
        assert!(memory.object(key).is_some(), "{key}");
    }
}

#[tokio::test]
async fn a_truncated_list_without_a_continuation_token_is_an_error() {
    let memory = MemoryStore::new();
    for key in ["b/1", "b/2", "b/3"] {
        memory.replace(NewObject { key: key.into(), ..Default::default() }, "");
    }
    memory.lose_tokens();
    let error = delete_prefixed(Arc::new(memory.clone()), "b/".into()).await.unwrap_err();
    assert_eq!(error.kind(), encrypted_s3_core::ErrorKind::Transport);
    assert!(memory.object("b/3").is_some());
}
