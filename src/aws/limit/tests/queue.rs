use crate::aws::limit::queue::{Class, Queue};

const CLASSES: [Class; 4] = [
    Class::KeyKilling,
    Class::Issue,
    Class::Removal,
    Class::Background,
];

fn drain<W>(queue: &mut Queue<W>) -> Vec<W> {
    std::iter::from_fn(|| queue.pop()).collect()
}

#[test]
fn the_more_urgent_is_served_first() {
    let mut queue = Queue::new();
    for class in CLASSES.into_iter().rev() {
        queue.push(class, 0, 0, class);
    }

    assert_eq!(drain(&mut queue), CLASSES);
    assert!(queue.is_empty());
}

#[test]
fn every_class_is_served_now_and_then() {
    let mut queue = Queue::new();
    for class in CLASSES {
        for _ in 0..100 {
            queue.push(class, 0, 0, class);
        }
    }

    let served: Vec<_> = (0..48).filter_map(|_| queue.pop()).collect();

    let of = |class| served.iter().filter(|served| **served == class).count();
    assert_eq!(CLASSES.map(of), [42, 2, 2, 2]);
}

#[test]
fn an_older_request_is_served_first_and_its_calls_in_order() {
    let mut queue = Queue::new();
    for (request, call) in [(2, "2a"), (1, "1a"), (2, "2b"), (1, "1b")] {
        queue.push(Class::Removal, 0, request, call);
    }

    assert_eq!(drain(&mut queue), ["1a", "1b", "2a", "2b"]);
}

#[test]
fn mounts_take_turns_within_a_class() {
    let mut queue = Queue::new();
    for request in 0..4 {
        queue.push(Class::Removal, 1, request, 1);
    }
    queue.push(Class::Removal, 2, 4, 2);
    queue.push(Class::Removal, 2, 5, 2);
    queue.push(Class::Removal, 3, 6, 3);

    assert_eq!(drain(&mut queue), [1, 2, 3, 1, 2, 1, 1]);
}

#[test]
fn who_left_is_not_served() {
    let mut queue = Queue::new();
    let gone = queue.push(Class::Issue, 1, 0, "gone");
    queue.push(Class::Issue, 1, 1, "stays");
    let alone = queue.push(Class::Removal, 2, 2, "alone");

    queue.remove(&gone);
    queue.remove(&alone);
    queue.remove(&alone);

    assert_eq!(drain(&mut queue), ["stays"]);
    queue.remove(&gone);
    assert!(queue.is_empty());
}
