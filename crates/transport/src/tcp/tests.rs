use std::thread;

use super::*;

fn quick() -> Limits {
    Limits {
        connect: Duration::from_secs(5),
        idle: Duration::from_millis(200),
        message: Duration::from_millis(200),
        max_message: 1000,
    }
}

fn patient() -> Limits {
    Limits::default()
}

fn connected(left: Limits, right: Limits) -> (TcpChannel, TcpChannel) {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let dialed = connect(&address, &left).unwrap();
    (dialed, listener.accept(&right).unwrap())
}

/// A channel whose peer is a bare socket, to send what a channel never would.
fn against_raw(limits: Limits) -> (TcpChannel, TcpStream) {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let raw = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept(&limits).unwrap(), raw)
}

#[test]
fn messages_cross_whole_at_every_length_around_a_prefix_change() {
    for size in [0, 1, 127, 128, 16_383, 16_384, 70_000, MAX_MESSAGE] {
        let (mut left, mut right) = connected(patient(), patient());
        let message: Vec<u8> = (0..size).map(|i| (i * 7) as u8).collect();
        let sent = message.clone();
        let sender = thread::spawn(move || {
            left.send(&sent).unwrap();
            left
        });
        assert_eq!(right.recv().unwrap(), message);
        let prefix = match size {
            0..128 => 1,
            128..16_384 => 2,
            _ => 3,
        };
        assert_eq!(sender.join().unwrap().sent_bytes(), prefix + size as u64);
        assert_eq!(right.received_bytes(), prefix + size as u64);
    }
}

#[test]
fn several_messages_in_one_packet_come_out_one_by_one() {
    let (mut channel, mut raw) = against_raw(patient());
    raw.write_all(b"\x01a\x00\x02bc\x01").unwrap();
    assert_eq!(channel.recv().unwrap(), b"a");
    assert_eq!(channel.recv().unwrap(), b"");
    assert_eq!(channel.recv().unwrap(), b"bc");
    raw.write_all(b"d").unwrap();
    assert_eq!(channel.recv().unwrap(), b"d");
}

#[test]
fn a_long_message_is_refused_before_it_arrives() {
    let (mut channel, mut raw) = against_raw(quick());
    raw.write_all(&[0xe9, 0x07]).unwrap();
    assert_eq!(channel.recv().unwrap_err().code(), "TRANSPORT_TOO_LARGE");
    assert_eq!(channel.recv().unwrap_err().code(), "TRANSPORT_CLOSED");
    let error = channel.send(&[0; 1001]).unwrap_err();
    assert_eq!(error.code(), "TRANSPORT_TOO_LARGE");
}

#[test]
fn a_length_in_more_bytes_than_it_needs_is_refused() {
    for bad in [&[0x80, 0x00][..], &[0xff; 10]] {
        let (mut channel, mut raw) = against_raw(patient());
        raw.write_all(bad).unwrap();
        assert_eq!(channel.recv().unwrap_err().code(), "TRANSPORT_MALFORMED");
    }
}

#[test]
fn a_dripping_peer_runs_out_of_time_although_every_byte_was_prompt() {
    let (mut channel, mut raw) = against_raw(quick());
    let dripper = thread::spawn(move || {
        raw.write_all(&[100]).unwrap();
        while raw.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let error = channel.recv().unwrap_err();
    assert_eq!(error.code(), "TRANSPORT_TIMEOUT");
    assert!(channel.received_bytes() < 100);
    assert_eq!(channel.recv().unwrap_err().code(), "TRANSPORT_CLOSED");
    dripper.join().unwrap();
}

#[test]
fn waiting_in_vain_leaves_the_channel_usable() {
    let (mut left, mut right) = connected(patient(), quick());
    assert_eq!(right.recv().unwrap_err().code(), "TRANSPORT_TIMEOUT");
    left.send(b"late").unwrap();
    assert_eq!(right.recv().unwrap(), b"late");
}

#[test]
fn a_peer_that_does_not_read_runs_out_of_time() {
    let limits = Limits { max_message: MAX_MESSAGE, ..quick() };
    let (mut channel, _raw) = against_raw(limits);
    let message = vec![0; MAX_MESSAGE];
    let error = (0..1000).find_map(|_| channel.send(&message).err()).unwrap();
    assert_eq!(error.code(), "TRANSPORT_TIMEOUT");
    assert_eq!(channel.send(b"x").unwrap_err().code(), "TRANSPORT_CLOSED");
}

#[test]
fn leaving_between_and_inside_messages_is_told_apart() {
    let (mut channel, raw) = against_raw(patient());
    drop(raw);
    assert_eq!(channel.recv().unwrap_err().code(), "TRANSPORT_CLOSED");

    let (mut channel, mut raw) = against_raw(patient());
    raw.write_all(b"\x05ab").unwrap();
    drop(raw);
    assert_eq!(channel.recv().unwrap_err().code(), "TRANSPORT_TRUNCATED");
}

#[test]
fn an_address_nobody_listens_on_is_unreachable() {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = connect(&address, &patient()).unwrap_err();
    assert_eq!(error.code(), "TRANSPORT_UNREACHABLE");
    assert!(error.to_string().contains(&address));
}

#[test]
fn text_that_is_no_address_is_refused() {
    for bad in ["", "nowhere", "127.0.0.1", "127.0.0.1:99999"] {
        let error = connect(bad, &patient()).unwrap_err();
        assert_eq!(error.code(), "TRANSPORT_ADDRESS", "{bad}");
        let error = Listener::bind(bad).unwrap_err();
        assert_eq!(error.code(), "TRANSPORT_ADDRESS", "{bad}");
    }
    let taken = Listener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(Listener::bind(&address).unwrap_err().code(), "TRANSPORT_ADDRESS");
}

#[test]
fn a_stopper_ends_a_wait_from_another_thread() {
    for address in ["127.0.0.1:0", "0.0.0.0:0"] {
        let listener = Listener::bind(address).unwrap();
        let stopper = listener.stopper();
        let waiting = thread::spawn(move || {
            let first = listener.accept(&Limits::default()).unwrap_err().code();
            (first, listener.accept(&Limits::default()).unwrap_err().code())
        });
        stopper.stop();
        let expected = "TRANSPORT_INTERRUPTED";
        assert_eq!(waiting.join().unwrap(), (expected, expected));
    }
}
