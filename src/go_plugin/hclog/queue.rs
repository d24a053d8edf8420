//! Between those who log and the thread that writes: bounded, so that a host that does not read
//! stderr holds up nobody.

use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Some thousand lines; as much again may be with the writer.
const MOST_WAITING: usize = 512 * 1024;

/// Lines on their way to the host.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines, one after another.
    waiting: Vec<u8>,
    /// How many lines came after these and found no room.
    dropped: u64,
    writing: bool,
}

impl Queue {
    /// Adds a line, or counts it where there is no room. Never waits for the host.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        // After a line that is lost all are, until there is room: the log then says where they are missing.
        if state.dropped > 0 || state.waiting.len() + line.len() > MOST_WAITING {
            state.dropped += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        self.changed.notify_all();
    }

    /// Waits for lines and writes them, with `notice` of how many were lost after them.
    pub(super) fn write_next(&self, out: &mut impl Write, notice: impl FnOnce(u64) -> Vec<u8>) {
        let (mut lines, dropped) = self.take();
        if dropped > 0 {
            lines.extend(notice(dropped));
        }
        // Nobody is left to tell if the host does not read.
        let _ = out.write_all(&lines);
        self.lock().writing = false;
        self.changed.notify_all();
    }

    fn take(&self) -> (Vec<u8>, u64) {
        let idle = |state: &mut State| state.waiting.is_empty();
        let waited = self.changed.wait_while(self.lock(), idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        (
            std::mem::take(&mut state.waiting),
            std::mem::take(&mut state.dropped),
        )
    }

    /// Waits until all is written, or for so long.
    pub(super) fn flush(&self, limit: Duration) {
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        // Whether it was in time or not, nothing more can be done.
        drop(self.changed.wait_timeout_while(self.lock(), limit, busy));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Queue {
    /// What waits to be written.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.lock().waiting.clone()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn line(number: usize) -> Vec<u8> {
        format!("line {number:04} {}\n", "x".repeat(1000)).into_bytes()
    }

    fn notice(dropped: u64) -> Vec<u8> {
        format!("{dropped} lost\n").into_bytes()
    }

    #[test]
    fn what_finds_no_room_is_counted_and_said_in_its_place() {
        let queue = Queue::default();
        for number in 0..1000 {
            queue.push(&line(number));
        }

        let mut out = Vec::new();
        queue.write_next(&mut out, notice);
        queue.push(b"there is room again\n");
        queue.write_next(&mut out, notice);

        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let [written @ .., lost, after] = &lines[..] else {
            panic!("{text}");
        };
        assert!(written.len() > 500, "{}", written.len());
        for (number, line) in written.iter().enumerate() {
            assert!(line.starts_with(&format!("line {number:04} ")), "{line}");
        }
        assert_eq!(*lost, format!("{} lost", 1000 - written.len()));
        assert_eq!(*after, "there is room again");
    }

    #[test]
    fn after_a_lost_line_a_shorter_one_does_not_slip_in() {
        let queue = Queue::default();
        queue.push(&vec![b'x'; MOST_WAITING]);
        queue.push(&line(0));
        queue.push(b"\n");

        let mut out = Vec::new();
        queue.write_next(&mut out, notice);

        assert!(out.ends_with(b"x2 lost\n"));
    }

    /// Writes nothing before it is told to.
    struct Slow(mpsc::Receiver<()>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_flush_waits_for_what_is_being_written_and_not_for_ever() {
        let queue = Arc::new(Queue::default());
        let (go_on, told) = mpsc::channel();
        let writer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.write_next(&mut Slow(told), notice)
        });
        queue.push(b"slow\n");
        queue.flush(Duration::from_millis(1));
        assert!(!writer.is_finished());

        go_on.send(()).unwrap();
        queue.flush(LIMIT);

        assert!(!queue.lock().writing && queue.text().is_empty());
        writer.join().unwrap();
    }

    #[test]
    fn a_flush_of_nothing_is_at_once() {
        Queue::default().flush(Duration::MAX);
    }
}
