//! Any order of the actions of a reader.

use super::*;

/// An action of a reader.
#[derive(Clone, Debug)]
enum Step {
    Read(u64),
    Skip(u64),
    Interrupted(u64),
    Rotate,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = || prop_oneof![0..100u64, 0..200_000u64, 0..2_000_000u64];
    let step = prop_oneof![
        4 => bytes().prop_map(Step::Read),
        2 => bytes().prop_map(Step::Skip),
        1 => bytes().prop_map(Step::Interrupted),
        1 => Just(Step::Rotate),
    ];
    prop::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Reading, skipping, interrupting and rotating in any order returns the bytes of the object, in order.
    #[test]
    fn any_sequence_of_steps_returns_the_bytes_in_order(
        size in prop_oneof![1..300_000usize, Just(SIZE), Just(4 * SEGMENT)],
        hint in proptest::option::of((0..2_000_000u64, proptest::option::of(0..300_000u64))),
        steps in steps(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bucket = Bucket::with(size).await;
            let plan = plan();
            let (first, length) = hint.unwrap_or((0, None));
            bucket.put_beside(bucket.sidecar());
            let opened = Download::open_part(bucket.store(), &keys(), &plan, KEY, first, length).await;
            let (mut download, all, mut at) = (opened.unwrap(), text(size), 0);
            for step in steps {
                match step {
                    Step::Skip(bytes) => {
                        download.skip(bytes).await.unwrap();
                        at = size.min(at + bytes as usize);
                    }
                    Step::Read(bytes) => {
                        let read = download.read(bytes).await.unwrap().unwrap_or_default().to_vec();
                        assert!(read == all[at..size.min(at + bytes as usize)], "at {at}");
                        at += read.len();
                    }
                    Step::Interrupted(bytes) => {
                        let read = tokio::select! {
                            biased;
                            read = download.read(bytes) => read.unwrap().map_or(0, <[u8]>::len),
                            () = tokio::task::yield_now() => 0,
                        };
                        at += read;
                    }
                    Step::Rotate => bucket.rotate().await,
                }
            }
            let mut left = Vec::new();
            rest(&mut download, &mut left).await.unwrap();
            assert!(left == all[at..], "the rest from {at}");
        });
    }
}
