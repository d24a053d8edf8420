use std::cell::Cell;
use std::convert::Infallible;

use tokio::sync::oneshot;

use super::*;

/// What is stored, and how often it was read.
#[derive(Default)]
struct Stored {
    value: Cell<Option<u32>>,
    reads: Cell<u32>,
}

impl Stored {
    fn holding(value: u32) -> Self {
        Self {
            value: Cell::new(Some(value)),
            reads: Cell::new(0),
        }
    }

    async fn get(&self, kept: &Kept<u32>, name: &str) -> Option<u32> {
        let read = async {
            self.reads.set(self.reads.get() + 1);
            Ok::<_, Infallible>(self.value.get())
        };
        kept.get(name, read).await.unwrap().as_deref().copied()
    }
}

#[tokio::test]
async fn a_value_is_read_once() {
    let (kept, stored) = (Kept::new(10), Stored::holding(1));

    for _ in 0..3 {
        assert_eq!(stored.get(&kept, "a").await, Some(1));
    }

    assert_eq!(stored.reads.get(), 1);
}

#[tokio::test]
async fn a_forgotten_value_is_read_again_and_the_others_are_not() {
    let (kept, stored) = (Kept::new(10), Stored::holding(1));
    stored.get(&kept, "a").await;
    stored.get(&kept, "b").await;
    stored.value.set(Some(2));

    kept.forget("a");

    assert_eq!(stored.get(&kept, "a").await, Some(2));
    assert_eq!(stored.get(&kept, "b").await, Some(1));
}

#[tokio::test]
async fn what_does_not_exist_and_what_cannot_be_read_is_looked_for_each_time() {
    let (kept, stored) = (Kept::new(10), Stored::default());
    assert_eq!(stored.get(&kept, "a").await, None);
    let failure = kept.get("a", async { Err::<Option<u32>, _>("no") }).await;
    assert_eq!(failure, Err("no"));

    stored.value.set(Some(1));

    assert_eq!(stored.get(&kept, "a").await, Some(1));
}

#[tokio::test]
async fn a_read_that_was_under_way_when_the_value_changed_is_not_kept() {
    let (kept, stored) = (Kept::new(10), Stored::holding(2));
    let (read, under_way) = oneshot::channel();
    let slow = kept.get("a", async {
        let before = under_way.await.unwrap();
        Ok::<_, Infallible>(Some(before))
    });

    let (slow, ()) = tokio::join!(slow, async {
        kept.forget("a");
        read.send(1).unwrap();
    });

    assert_eq!(slow, Ok(Some(Arc::new(1))));
    assert_eq!(stored.get(&kept, "a").await, Some(2));
}

#[tokio::test]
async fn what_is_read_during_a_change_counts_until_the_change_ends() {
    let (kept, stored) = (Kept::new(10), Stored::holding(1));
    stored.get(&kept, "a").await;

    let change = kept.change("a");
    assert_eq!(stored.get(&kept, "a").await, Some(1));
    stored.value.set(Some(2));
    drop(change);

    assert_eq!(stored.get(&kept, "a").await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_nobody_tells_of_shows_after_a_minute() {
    let (kept, stored) = (Kept::new(10), Stored::holding(1));
    stored.get(&kept, "a").await;
    stored.value.set(Some(2));

    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(stored.get(&kept, "a").await, Some(1));

    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(stored.get(&kept, "a").await, Some(2));
}

#[tokio::test]
async fn no_more_values_are_kept_than_there_is_room_for() {
    let (kept, stored) = (Kept::new(3), Stored::holding(1));

    for name in ["a", "b", "c", "d", "e", "e"] {
        assert_eq!(stored.get(&kept, name).await, Some(1));
    }

    assert_eq!(kept.state().values.len(), 3);
    assert_eq!(stored.reads.get(), 5);
}
