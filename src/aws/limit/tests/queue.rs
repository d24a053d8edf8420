use crate::aws::limit::queue::{Class, Queue, Rank};

const CLASSES: [Class; 4] = [
    Class::KeyKilling,
    Class::Issue,
    Class::Removal,
    Class::Background,
];

fn rank(class: Class, mount: u64, request: u64) -> Rank {
    Rank {
        class,
        begun: false,
        mount,
        request,
    }
}

fn drain<W>(queue: &mut Queue<W>) -> Vec<W> {
    std::iter::from_fn(|| queue.pop()).collect()
}

/// Who is served in so many turns while all of these wait.
fn served(classes: &[Class], turns: usize) -> [usize; 4] {
    let mut queue = Queue::new();
    for class in classes {
        for _ in 0..turns {
            queue.push(rank(*class, 0, 0), *class);
        }
    }
    let served: Vec<_> = (0..turns).filter_map(|_| queue.pop()).collect();
    CLASSES.map(|class| served.iter().filter(|served| **served == class).count())
}

#[test]
fn the_more_urgent_is_served_first() {
    let mut queue = Queue::new();
    for class in CLASSES.into_iter().rev() {
        queue.push(rank(class, 0, 0), class);
    }

    assert_eq!(drain(&mut queue), CLASSES);
    assert!(queue.is_empty());
}

#[test]
fn every_class_is_served_now_and_then() {
    assert_eq!(served(&CLASSES, 128), [112, 8, 6, 2]);
    assert_eq!(served(&CLASSES[1..], 16), [0, 8, 6, 2]);
    assert_eq!(served(&[Class::Issue, Class::Removal], 16), [0, 10, 6, 0]);
    assert_eq!(served(&[Class::Background], 16), [0, 0, 0, 16]);
}

#[test]
fn an_older_request_is_served_first_and_its_calls_in_order() {
    let mut queue = Queue::new();
    for (request, call) in [(2, "2a"), (1, "1a"), (2, "2b"), (1, "1b")] {
        queue.push(rank(Class::Removal, 0, request), call);
    }

    assert_eq!(drain(&mut queue), ["1a", "1b", "2a", "2b"]);
}

#[test]
fn a_request_that_has_begun_is_served_before_any_that_has_not() {
    let mut queue = Queue::new();
    for (request, begun) in [(1, false), (3, true), (2, true), (4, false)] {
        // The next mount's turn, of which the one that has begun is none.
        let rank = Rank {
            begun,
            ..rank(Class::Issue, request % 2, request)
        };
        queue.push(rank, request);
    }

    assert_eq!(drain(&mut queue), [2, 3, 1, 4]);
}

#[test]
fn mounts_take_turns_within_a_class() {
    let mut queue = Queue::new();
    for request in 0..4 {
        queue.push(rank(Class::Removal, 1, request), 1);
    }
    queue.push(rank(Class::Removal, 2, 4), 2);
    queue.push(rank(Class::Removal, 2, 5), 2);
    queue.push(rank(Class::Removal, 3, 6), 3);

    assert_eq!(drain(&mut queue), [1, 2, 3, 1, 2, 1, 1]);
}

#[test]
fn who_left_is_not_served() {
    let mut queue = Queue::new();
    let gone = queue.push(rank(Class::Issue, 1, 0), "gone");
    queue.push(rank(Class::Issue, 1, 1), "stays");
    let alone = queue.push(rank(Class::Removal, 2, 2), "alone");
    let begun = Rank {
        begun: true,
        ..rank(Class::Issue, 1, 0)
    };
    let begun = queue.push(begun, "begun");

    assert_eq!(queue.remove(&gone), Some("gone"));
    assert_eq!(queue.remove(&alone), Some("alone"));
    assert_eq!(queue.remove(&alone), None);
    assert_eq!(queue.remove(&begun), Some("begun"));

    assert_eq!(drain(&mut queue), ["stays"]);
    assert_eq!(queue.remove(&gone), None);
    assert!(queue.is_empty());
}
