//! Tests of shares, turns and what is cancelled for whom, without sockets.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const PATIENCE: Duration = Duration::from_secs(3600);

fn places(to_one_host: usize, in_all: usize) -> Places {
    Places::new(Most { to_one_host, in_all, waiting: 100 })
}

fn host(name: &str) -> HostKey {
    name.into()
}

/// Takes places until there is none for this sender.
async fn fill(places: &Places, name: &str, sender: u64) -> Vec<Place> {
    let mut held = Vec::new();
    while let Ok(place) = places.take(&host(name), SenderId(sender), Duration::ZERO).await {
        held.push(place);
    }
    held
}

#[tokio::test]
async fn a_sender_may_have_as_many_as_are_left() {
    let places = places(12, 100);
    let first = fill(&places, "a", 1).await;
    let second = fill(&places, "a", 2).await;
    let third = fill(&places, "a", 3).await;
    assert_eq!([first.len(), second.len(), third.len()], [6, 3, 2]);
    // Others still get one, and the host is not the network.
    assert_eq!(fill(&places, "a", 4).await.len(), 1);
    assert_eq!(fill(&places, "b", 1).await.len(), 6);
    drop(first);
    assert_eq!(fill(&places, "a", 4).await.len(), 4);
}

#[tokio::test]
async fn one_sender_at_many_hosts_leaves_half_of_all() {
    let places = places(10, 20);
    let mut held = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        held.extend(fill(&places, name, 1).await);
    }
    assert_eq!(held.len(), 10);
    assert_eq!(fill(&places, "f", 2).await.len(), 5);
}

#[tokio::test]
async fn who_holds_fewest_is_next_and_nobody_is_overtaken_by_a_crowd() {
    let places = places(100, 4);
    let mut held = fill(&places, "a", 1).await;
    held.extend(fill(&places, "a", 2).await);
    held.extend(fill(&places, "a", 3).await);
    assert_eq!(held.len(), 4, "all are taken: two, one and one");
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for sender in [1, 1, 1, 4, 5] {
        let (places, order) = (places.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            let place = places.take(&host("a"), SenderId(sender), PATIENCE).await.expect("a place");
            order.lock().expect("the order").push(sender);
            drop(place);
        }));
        tokio::task::yield_now().await;
    }
    drop(held.pop());
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*order.lock().expect("the order"), [4, 5], "the crowd has its share");
    drop(held);
    for task in tasks {
        task.await.expect("no panic");
    }
}

#[tokio::test]
async fn hosts_of_one_sender_take_turns() {
    let places = places(100, 2);
    let held = places.take(&host("a"), SenderId(1), PATIENCE).await.expect("a place");
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for name in ["a", "a", "a", "b", "c"] {
        let (places, order) = (places.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            let place = places.take(&host(name), SenderId(1), PATIENCE).await.expect("a place");
            order.lock().expect("the order").push(name);
            tokio::task::yield_now().await;
            drop(place);
        }));
        tokio::task::yield_now().await;
    }
    drop(held);
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(*order.lock().expect("the order"), ["a", "b", "c", "a", "a"]);
}

#[tokio::test]
async fn who_gives_up_leaves_nothing_behind() {
    let places = Places::new(Most { to_one_host: 2, in_all: 2, waiting: 3 });
    let held = places.take(&host("a"), SenderId(1), PATIENCE).await.expect("a place");
    for _ in 0..1000 {
        let gone = places.take(&host("a"), SenderId(1), Duration::ZERO).await;
        assert_eq!(gone.err(), Some(NoPlace::TimedOut { to_host: 1, in_all: 1 }));
    }
    let a = host("a");
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(places.take(&a, SenderId(1), PATIENCE))).collect();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for future in &mut waiting {
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    let over = places.take(&host("b"), SenderId(1), PATIENCE).await;
    assert_eq!(over.err(), Some(NoPlace::QueueFull));
    // One is given the place and goes without looking at it.
    drop(held);
    drop(waiting);
    let state = places.0.lock();
    assert!(state.busy == 0 && state.hosts.is_empty() && state.senders.is_empty());
}

/// An answer that gives its place up when it is cancelled.
struct Answer {
    cancelled: AtomicBool,
    place: Mutex<Option<Place>>,
}

impl Stalled for Answer {
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        drop(self.place.lock().expect("the place").take());
    }
}

fn unread(mut place: Place) -> Arc<Answer> {
    let answer = Arc::new(Answer { cancelled: AtomicBool::new(false), place: Mutex::default() });
    let weak: Weak<Answer> = Arc::downgrade(&answer);
    place.unread(weak);
    *answer.place.lock().expect("the place") = Some(place);
    answer
}

fn cancelled(answers: &[Arc<Answer>]) -> Vec<usize> {
    let is_cancelled =
        |(at, answer): (usize, &Arc<Answer>)| answer.cancelled.load(Ordering::SeqCst).then_some(at);
    answers.iter().enumerate().filter_map(is_cancelled).collect()
}

#[tokio::test]
async fn the_oldest_unread_answer_goes_and_none_that_is_read() {
    let places = places(6, 100);
    let answers: Vec<_> = fill(&places, "a", 1).await.into_iter().map(unread).collect();
    assert_eq!(answers.len(), 3);
    answers[0].place.lock().expect("the place").as_mut().expect("a place").reading();
    let started = Instant::now();
    let next = places.take(&host("a"), SenderId(1), PATIENCE).await.expect("a place");
    assert!(started.elapsed() >= GRACE, "it had its time");
    assert_eq!(cancelled(&answers), [1]);
    drop(next);
}

#[tokio::test]
async fn an_answer_of_who_has_less_is_not_cancelled_for_who_has_more() {
    let places = places(8, 100);
    let crowd = fill(&places, "a", 1).await;
    let small: Vec<_> = fill(&places, "a", 2).await.into_iter().map(unread).collect();
    assert_eq!([crowd.len(), small.len()], [4, 2]);
    let late = places.take(&host("a"), SenderId(1), 2 * GRACE).await;
    assert!(matches!(late, Err(NoPlace::TimedOut { to_host: 4, in_all: 4 })));
    assert!(cancelled(&small).is_empty());
    drop(crowd);

    // The other way round it is.
    let crowd: Vec<_> = fill(&places, "a", 1).await.into_iter().map(unread).collect();
    let rest = fill(&places, "a", 3).await;
    let last = fill(&places, "a", 4).await;
    assert_eq!([crowd.len(), rest.len(), last.len()], [3, 2, 1]);
    let late = places.take(&host("a"), SenderId(5), 2 * GRACE).await;
    assert!(late.is_ok());
    // Only the small one's answers have lain for long enough by then.
    assert_eq!([cancelled(&crowd), cancelled(&small)], [vec![], vec![0]]);
}
