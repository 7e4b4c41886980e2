use super::*;
use tally_core::id::Digest;
use tally_core::keys::SecretKey;
use tally_transport::session::{KemSecret, greet};

fn line(generation: u64, hello: Option<Blob<MAX_HELLO>>) -> Line {
    let greeting = greet(&KemSecret::from_seed([7; 32]).public(), &[9; 64]).expect("a good key");
    let (_, root) = greeting.seal(&[1; 32], b"text").expect("short");
    Line { session: Session::new(&root, Role::Initiator, generation), hello }
}

fn peer() -> Peer {
    let hello = Blob::new(alloc::vec![5; 40]).expect("short");
    Peer {
        heard: Heard::of(5, alloc::vec![(7, 9), (20, 20)]).expect("ascending"),
        said: 6,
        lines: alloc::vec![line(3, None), line(6, Some(hello))],
        hints: Vec::new(),
    }
}

#[test]
fn what_was_heard_is_stored_with_the_sessions() {
    let (stored, peer) = (peer().to_plain(), peer());
    let again = Peer::from_plain(&stored).expect("as it was written");
    assert_eq!((&again.heard, again.said), (&peer.heard, 6));
    let lines =
        |peer: &Peer| peer.lines.iter().map(|l| (l.id(), l.hello.clone())).collect::<Vec<_>>();
    assert_eq!(lines(&again), lines(&peer));
    let contact = DeviceId::new([1; 32]);
    let sealed = peer.to_sealed(&[2; 32], &contact, [3; 24]);
    assert!(Peer::from_sealed(&sealed, &[2; 32], &contact).is_some());
    assert!(Peer::from_sealed(&sealed, &[2; 32], &DeviceId::new([4; 32])).is_none());
    assert!(Peer::from_plain(&stored[..stored.len() - 1]).is_none());
}

/// Three items: the greatest generation, and hellos that were not encrypted.
fn stored_before(heard: u64) -> Vec<u8> {
    let signature = SecretKey::new([1; 32]).expect("a scalar").sign(&Digest::new([2; 32]));
    let card = Signed::new(alloc::vec![8; 20], signature.clone()).expect("short");
    let mut w = Writer::new();
    w.array(3);
    heard.encode(&mut w);
    6_u64.encode(&mut w);
    w.array(2);
    for old_hello in [false, true] {
        w.array(2);
        w.bytes(&line(3, None).session.to_bytes());
        if !old_hello {
            w.null();
            continue;
        }
        w.array(5);
        card.encode(&mut w);
        [7; 32].encode(&mut w);
        5_u64.encode(&mut w);
        w.bytes(&[9; 1120]);
        signature.encode(&mut w);
    }
    w.into_bytes()
}

#[test]
fn sessions_of_an_earlier_version_are_read_but_for_a_hello_that_is_still_to_be_heard() {
    let read = Peer::from_plain(&stored_before(11)).expect("as it was written");
    assert_eq!(read.heard, Heard::of(11, Vec::new()).expect("no runs"));
    assert_eq!((read.said, read.lines.len()), (6, 1), "what was answered in goes on");
    assert!(read.lines[0].hello.is_none());
}

#[test]
fn whoever_is_gone_leaves_behind_what_was_heard() {
    let (mut peers, contact) = (Peers::default(), DeviceId::new([1; 32]));
    peers.put(contact, peer());
    peers.remove(&contact, 100, true);
    let heard = |peers: &Peers, is_contact| peers.copy_of(&contact, is_contact).heard;
    assert!(!heard(&peers, true).is_new(5) && !heard(&peers, true).is_new(8));
    assert!(heard(&peers, true).is_new(6), "what was not heard of a contact is new");
    assert!(!heard(&peers, false).is_new(6), "of strangers all below is old");
    let mut later = Peers::default();
    later.set_gone(Peer::from_plain(&peers.gone().to_plain()).expect("as it was written"));
    for is_contact in [true, false] {
        assert_eq!(heard(&later, is_contact), heard(&peers, is_contact), "for who comes back");
    }
}

#[test]
fn the_session_that_came_last_is_the_one_to_begin_with() {
    let mut peer = Peer::default();
    for generation in [4_000, 5, 7, 6] {
        peer.insert(line(generation, None));
    }
    let order: Vec<u64> = peer.lines.iter().map(|line| line.session.generation()).collect();
    assert_eq!(order, [5, 7, 6], "the oldest made room");
}
