//! Tests of the files of dead letters: bounds, torn lines, repeats, changes beside each other.

use std::{fs, thread};

use metlog_core::wire::{batch::ProducerId, json::from_json};
use tempfile::TempDir;

use super::*;

const ROOM: u64 = 1 << 20;

fn letter(sequence: u64) -> Letter {
    let text = format!(
        "{{\"type\":\"t\",\"timestamp\":\"2026-01-01T00:00:00.000000Z\",\"payload\":\"{sequence}\"}}"
    );
    let owner = Owner { producer: Some(ProducerId([1; 16])), sequence, principal: true };
    Letter::new(from_json(text.as_bytes()).unwrap().message, owner, "refused")
}

fn shelf(max_bytes: u64) -> (TempDir, DeadLetters) {
    let home = tempfile::tempdir().unwrap();
    let letters = DeadLetters::new(home.path(), "carbon", max_bytes);
    (home, letters)
}

fn sequences(letters: &DeadLetters) -> Vec<u64> {
    letters.read().unwrap().letters.iter().map(|letter| letter.owner.sequence).collect()
}

#[test]
fn what_has_no_room_is_not_kept_and_the_caller_is_told() {
    let line = byte_count(letter(1).to_line().len());
    let (_home, letters) = shelf(3 * line);
    assert_eq!(letters.keep(&[letter(1), letter(2)]).unwrap(), 2);
    assert_eq!(letters.keep(&[letter(3), letter(4)]).unwrap(), 1);
    assert_eq!(letters.keep(&[letter(5)]).unwrap(), 0);
    assert_eq!((sequences(&letters), letters.read().unwrap().bytes), (vec![1, 2, 3], 3 * line));
    letters
        .rewrite(|letter| if letter.owner.sequence == 2 { Change::Go } else { Change::Stay(letter) })
        .unwrap();
    assert_eq!(letters.keep(&[letter(5)]).unwrap(), 1, "there is room again");
}

#[test]
fn a_line_cut_short_anywhere_costs_that_letter_alone_and_is_counted() {
    let (home, letters) = shelf(ROOM);
    letters.keep(&[letter(1), letter(2)]).unwrap();
    let path = home.path().join("dead/carbon.jsonl");
    let whole = fs::read(&path).unwrap();
    let first = letter(1).to_line().len();
    for end in first + 1..whole.len() - 1 {
        fs::write(&path, &whole[..end]).unwrap();
        assert_eq!(letters.read().unwrap().unreadable.len(), 1, "cut at {end}");
        letters.keep(&[letter(3)]).unwrap();
        letters.rewrite(Change::Become).unwrap();
        let shelf = letters.read().unwrap();
        assert_eq!((sequences(&letters), shelf.unreadable.len()), (vec![1, 3], 1), "cut at {end}");
    }
}

#[test]
fn of_two_letters_of_one_message_the_last_counts() {
    let (_home, letters) = shelf(ROOM);
    letters.keep(&[letter(1), letter(2)]).unwrap();
    letters.keep(&[letter(1).refused_again("still")]).unwrap();
    let shelf = letters.read().unwrap();
    let told: Vec<_> = shelf.letters.iter().map(|letter| (letter.owner.sequence, letter.attempts)).collect();
    assert_eq!(told, [(1, 2), (2, 1)]);
}

#[test]
fn a_new_version_left_by_a_crash_changes_nothing() {
    let (home, letters) = shelf(ROOM);
    letters.keep(&[letter(1)]).unwrap();
    fs::write(home.path().join("dead/carbon.new"), b"half a li").unwrap();
    assert_eq!(sequences(&letters), [1]);
    letters.rewrite(Change::Become).unwrap();
    assert_eq!(sequences(&letters), [1]);
    assert!(!home.path().join("dead/carbon.new").exists());
}

#[test]
fn letters_kept_while_others_are_taken_out_are_all_there() {
    let (_home, letters) = shelf(ROOM);
    letters.keep(&(0..50).map(letter).collect::<Vec<_>>()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| (100..150).for_each(|n| assert_eq!(letters.keep(&[letter(n)]).unwrap(), 1)));
        for gone in 0..50 {
            letters
                .rewrite(
                    |letter| if letter.owner.sequence == gone { Change::Go } else { Change::Stay(letter) },
                )
                .unwrap();
        }
    });
    assert_eq!(sequences(&letters), (100..150).collect::<Vec<_>>());
}

#[test]
fn a_request_to_send_again_is_seen_once_and_everything_can_be_cleared() {
    let (home, letters) = shelf(ROOM);
    assert!(!letters.is_replay_asked());
    letters.keep(&[letter(1)]).unwrap();
    letters.ask_for_replay().unwrap();
    assert!(letters.is_replay_asked() && !letters.is_replay_asked());
    assert_eq!(DeadLetters::outputs(home.path()), ["carbon"]);
    assert_eq!(letters.clear().unwrap().letters.len(), 1);
    assert_eq!(letters.read().unwrap(), Shelf::default());
}
