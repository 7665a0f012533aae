//! Recovery, tried at every event of whole journals, and the rules, tried on journals made by chance.

use std::fmt::Write as _;
use std::path::Path;

use millrace_model::Failure;
use millrace_model::schema::TableName;
use millrace_pipeline::{Action, Event, EventKind, Journal, NextStep, Outcome, Recovery, RunState};
use serde_json::{Value, json};

/// Set to anything, the snapshot is written instead of compared.
const REGENERATE: &str = "MILLRACE_REGENERATE";

fn orders() -> TableName {
    TableName::bare("orders")
}

fn failure() -> Failure {
    Failure::data("validate.count", "orders has 3 rows in the source and 2 in the target")
}

fn approval() -> String {
    "switch".into()
}

fn done(state: Value) -> EventKind {
    EventKind::ActionSucceeded { state }
}

/// A run that fails, is resumed, waits, switches, is rolled back, goes forward again, and is cleaned up.
fn whole_journal() -> Journal {
    let (shadow, copy, complete) =
        (Action::create_shadow(&orders()), Action::copy(&orders()), Action::complete(&orders()));
    let (validate, clean) = (Action::validate(&orders()), Action::clean(&TableName::bare("orders_bak_1")));
    let (fence, swap, repoint) = (Action::switch("fence"), Action::switch("swap"), Action::repoint());
    let run = |kind| (None, kind);
    let on = |action: &Action, kind| (Some(action.clone()), kind);
    let started = EventKind::ActionStarted;
    let script = vec![
        run(EventKind::RunStarted),
        on(&shadow, started.clone()),
        on(&shadow, done(Value::Null)),
        on(&copy, started.clone()),
        run(EventKind::RunInterrupted { reason: "Ctrl-C".into() }),
        run(EventKind::RunResumed),
        on(&copy, started.clone()),
        on(&copy, done(json!({ "rows": 3 }))),
        on(&complete, started.clone()),
        on(&complete, done(Value::Null)),
        on(&validate, started.clone()),
        on(&validate, EventKind::ActionFailed { failure: failure() }),
        run(EventKind::RunFailed { failure: failure() }),
        run(EventKind::RunResumed),
        on(&validate, started.clone()),
        on(&validate, done(Value::Null)),
        run(EventKind::RunWaiting { approval: approval() }),
        run(EventKind::RunApproved { approval: approval() }),
        on(&fence, started.clone()),
        on(&fence, done(json!("locked"))),
        on(&swap, started.clone()),
        run(EventKind::RunResumed),
        on(&swap, done(json!("looked: swapped"))),
        on(&repoint, started.clone()),
        on(&repoint, done(Value::Null)),
        run(EventKind::RunFinished),
        run(EventKind::RollbackStarted { reason: "asked for".into() }),
        on(&repoint, EventKind::UndoStarted),
        on(&repoint, EventKind::Undone),
        on(&swap, EventKind::UndoStarted),
        on(&swap, EventKind::UndoFailed { failure: failure() }),
        run(EventKind::RunFailed { failure: failure() }),
        run(EventKind::RunResumed),
        on(&swap, EventKind::UndoStarted),
        run(EventKind::RunResumed),
        on(&swap, EventKind::Undone),
        on(&fence, EventKind::UndoStarted),
        on(&fence, EventKind::Undone),
        run(EventKind::RunRolledBack),
        run(EventKind::RunResumed),
        on(&fence, started.clone()),
        on(&fence, done(json!("locked"))),
        on(&swap, started.clone()),
        on(&swap, done(json!("swapped"))),
        run(EventKind::RunFinished),
        on(&clean, started.clone()),
        on(&clean, done(Value::Null)),
    ];
    let mut journal = Journal::new();
    for (second, (action, kind)) in script.into_iter().enumerate() {
        journal
            .record(format!("2026-05-01T09:30:{second:02}Z"), action, kind)
            .unwrap_or_else(|illegal| panic!("{illegal}"));
    }
    journal
}

fn print(recovery: &Recovery) -> String {
    let mut out = format!("    {}, then {}", recovery.state, json!(recovery.next)["next"].as_str().expect("tagged"));
    if recovery.can_roll_back {
        out.push_str(", or roll back");
    }
    if recovery.can_cancel {
        out.push_str(", or cancel");
    }
    out.push('\n');
    for (action, outcome) in &recovery.actions {
        let detail = match outcome {
            Outcome::Failed { failure } => failure.code.clone(),
            Outcome::UndoFailed { state, failure } => format!("{state} {}", failure.code),
            other => other.state().filter(|s| !s.is_null()).map(Value::to_string).unwrap_or_default(),
        };
        let name = json!(outcome)["outcome"].as_str().expect("tagged").to_owned();
        writeln!(out, "    {:<22} {name} {detail}", action.as_str()).expect("writing to a string");
    }
    out.lines().map(str::trim_end).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn a_journal_cut_at_any_event_says_what_became_of_every_action() {
    let journal = whole_journal();
    let mut printed = format!("before anything\n{}", print(&Journal::new().recover()));
    for end in 1..=journal.events().len() {
        let cut = Journal::from_events(journal.events()[..end].to_vec()).expect("what begins a legal journal is legal");
        let last = &journal.events()[end - 1];
        let action = last.action.as_ref().map_or_else(String::new, |a| format!(" {a}"));
        write!(printed, "{end} {}{action}\n{}", last.kind.name(), print(&cut.recover())).expect("writing to a string");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recoveries.txt");
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(&path, printed).expect("the snapshot is writable");
        return;
    }
    let kept = std::fs::read_to_string(&path).expect("the snapshot is there");
    assert_eq!(
        printed, kept,
        "recoveries have changed; if that is meant, run again with {REGENERATE}=1 and read the difference"
    );
}

#[test]
fn an_event_is_read_back_as_it_was_kept() {
    for event in whole_journal().events() {
        let text = serde_json::to_string(event).expect("plain data");
        assert_eq!(&serde_json::from_str::<Event>(&text).expect("it was written so"), event, "{text}");
    }
}

/// Numbers that look like chance and are the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("less than the limit")
    }
}

fn any_event(chance: &mut Chance) -> (Option<Action>, EventKind) {
    let actions = [
        Action::create_shadow(&orders()),
        Action::copy(&orders()),
        Action::validate(&orders()),
        Action::switch("fence"),
        Action::switch("swap"),
        Action::repoint(),
        Action::clean(&orders()),
    ];
    let action = Some(actions[chance.below(actions.len())].clone());
    match chance.below(24) {
        0..=5 => (action, EventKind::ActionStarted),
        6..=9 => (action, done(json!("state"))),
        10 => (action, EventKind::ActionFailed { failure: failure() }),
        11..=12 => (action, EventKind::UndoStarted),
        13..=14 => (action, EventKind::Undone),
        15 => (action, EventKind::UndoFailed { failure: failure() }),
        16 => (None, EventKind::RunStarted),
        17 => (None, EventKind::RunResumed),
        18 => (None, EventKind::RunFinished),
        19 => (None, EventKind::RollbackStarted { reason: "chance".into() }),
        20 => (None, EventKind::RunRolledBack),
        21 => (None, EventKind::RunInterrupted { reason: "chance".into() }),
        22 => (None, EventKind::RunWaiting { approval: approval() }),
        _ => (
            None,
            if chance.below(9) == 0 {
                EventKind::RunCancelled
            } else {
                EventKind::RunApproved { approval: approval() }
            },
        ),
    }
}

/// Does what a recovery says, as a host would that finds everything it looks for undone, until the run is over.
fn go_on(journal: &mut Journal) {
    let record = |journal: &mut Journal, action: Option<&Action>, kind: EventKind| {
        let events = journal.events().to_vec();
        journal.record("later", action.cloned(), kind).unwrap_or_else(|illegal| panic!("{illegal}\n{events:#?}"));
    };
    let recovery = journal.recover();
    match &recovery.next {
        NextStep::Nothing => return,
        NextStep::Start => record(journal, None, EventKind::RunStarted),
        NextStep::Approve { approval } => record(journal, None, EventKind::RunApproved { approval: approval.clone() }),
        NextStep::Resume | NextStep::ContinueRollback => record(journal, None, EventKind::RunResumed),
    }
    if recovery.next == NextStep::ContinueRollback {
        for action in recovery.undo_order() {
            record(journal, Some(action), EventKind::UndoStarted);
            record(journal, Some(action), EventKind::Undone);
        }
        record(journal, None, EventKind::RunRolledBack);
        return;
    }
    for (action, outcome) in &recovery.actions {
        if matches!(outcome, Outcome::Unknown | Outcome::Failed { .. } | Outcome::Undone) {
            record(journal, Some(action), EventKind::ActionStarted);
            record(journal, Some(action), done(Value::Null));
        }
    }
    record(journal, None, EventKind::RunFinished);
}

#[test]
fn whatever_happened_a_run_can_be_brought_to_an_end() {
    let mut ends = [0_u32; 3];
    for seed in 1..=60 {
        let mut chance = Chance(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
        let mut journal = Journal::new();
        let mut refused = 0;
        for _ in 0..300 {
            let (action, kind) = any_event(&mut chance);
            let before = journal.recover();
            if journal.record("now", action, kind).is_err() {
                refused += 1;
                assert_eq!(journal.recover(), before, "seed {seed}: an event that is refused changes nothing");
            }
            let mut taken_over = Journal::from_events(journal.events().to_vec()).expect("it was legal while it grew");
            assert_eq!(taken_over.recover(), journal.recover(), "seed {seed}");
            let mut turned = taken_over.clone();
            go_on(&mut taken_over);
            assert!(taken_over.state().is_over(), "seed {seed}: {:?}", taken_over.state());
            turn_back(&mut turned);
        }
        assert!(refused > 0 && !journal.events().is_empty(), "seed {seed} tries both legal and illegal events");
        match journal.state() {
            RunState::Done => ends[0] += 1,
            RunState::RolledBack => ends[1] += 1,
            RunState::Cancelled => ends[2] += 1,
            _ => {}
        }
    }
    assert!(ends.iter().all(|&count| count > 0), "chance reaches every end: {ends:?}");
}

/// Begins a rollback exactly where the recovery allows one, and carries it out.
fn turn_back(journal: &mut Journal) {
    let recovery = journal.recover();
    let begun = recovery.next == NextStep::ContinueRollback;
    let turned = journal.record("later", None, EventKind::RollbackStarted { reason: "asked for".into() });
    if begun && turned.is_err() {
        // It is going back already: there is nothing to begin.
        return;
    }
    assert_eq!(turned.is_ok(), recovery.can_roll_back, "{recovery:#?}");
    if turned.is_ok() {
        let undo: Vec<Action> = journal.recover().undo_order().into_iter().cloned().collect();
        for action in undo.iter().filter(|action| action.is_visible()) {
            journal.record("later", Some(action.clone()), EventKind::UndoStarted).expect("the order is the right one");
            journal.record("later", Some(action.clone()), EventKind::Undone).expect("it was begun");
        }
        if journal.record("later", None, EventKind::RunRolledBack).is_err() {
            // An undo of something that nobody sees was begun before: it has to be ended too.
            assert!(undo.iter().any(|action| !action.is_visible()));
        }
    }
}

fn refused(journal: &Journal, action: Option<Action>, kind: EventKind) -> String {
    journal.clone().record("now", action, kind).expect_err("it is not legal").to_string()
}

#[test]
fn names_half_swapped_are_not_given_up() {
    let mut journal = Journal::new();
    journal.record("now", None, EventKind::RunStarted).expect("planned");
    journal.record("now", Some(Action::switch("swap")), EventKind::ActionStarted).expect("running");
    assert!(!journal.recover().can_cancel);
    assert_eq!(
        refused(&journal, None, EventKind::RunCancelled),
        "event 3 of the journal cannot be run-cancelled: switch:swap may be in effect: the run can be resumed or rolled back"
    );
}

#[test]
fn an_unknown_outcome_is_not_called_done() {
    let mut journal = Journal::new();
    journal.record("now", None, EventKind::RunStarted).expect("planned");
    journal.record("now", Some(Action::copy(&orders())), EventKind::ActionStarted).expect("running");
    assert!(refused(&journal, None, EventKind::RunFinished).contains("copy:orders is in progress"));
    assert!(refused(&journal, Some(Action::copy(&orders())), EventKind::ActionStarted).contains("in progress"));
    journal.record("now", None, EventKind::RunResumed).expect("its process may be gone");
    assert!(refused(&journal, None, EventKind::RunFinished).contains("unknown outcome"));
    assert_eq!(journal.recover().must_look(), [&Action::copy(&orders())]);
}

#[test]
fn the_last_switch_step_is_undone_first() {
    let mut journal = Journal::new();
    journal.record("now", None, EventKind::RunStarted).expect("planned");
    for step in ["fence", "swap"] {
        journal.record("now", Some(Action::switch(step)), EventKind::ActionStarted).expect("running");
        journal.record("now", Some(Action::switch(step)), done(Value::Null)).expect("begun");
    }
    journal.record("now", None, EventKind::RollbackStarted { reason: "asked for".into() }).expect("running");
    let refusal = refused(&journal, Some(Action::switch("fence")), EventKind::UndoStarted);
    assert!(refusal.contains("switch:swap came later"), "{refusal}");
    assert_eq!(journal.recover().undo_order(), [&Action::switch("swap"), &Action::switch("fence")]);
}

#[test]
fn a_run_whose_backups_are_gone_is_not_rolled_back() {
    let journal = whole_journal();
    assert!(!journal.recover().can_roll_back);
    let refusal = refused(&journal, None, EventKind::RollbackStarted { reason: "too late".into() });
    assert!(refusal.contains("cleaned up"), "{refusal}");
}

#[test]
fn an_event_has_its_place_and_its_subject() {
    let mut journal = Journal::new();
    let event = |sequence, action, kind| Event { sequence, at: "now".into(), action, kind };
    let wrong = journal.append(event(2, None, EventKind::RunStarted)).expect_err("the first is number 1");
    assert!(wrong.to_string().contains("number 1"), "{wrong}");
    assert!(journal.append(event(1, Some(Action::repoint()), EventKind::RunStarted)).is_err());
    assert!(journal.append(event(1, None, EventKind::ActionStarted)).is_err());
    journal.append(event(1, None, EventKind::RunStarted)).expect("it is the first");
}

#[test]
fn what_was_approved_is_not_asked_for_again_until_the_run_turns_back() {
    let mut journal = Journal::new();
    journal.record("now", None, EventKind::RunStarted).expect("planned");
    journal.record("now", None, EventKind::RunWaiting { approval: approval() }).expect("running");
    assert_eq!(journal.waiting_for(), Some("switch"));
    assert!(refused(&journal, None, EventKind::RunApproved { approval: "plan".into() }).contains("approval of switch"));
    journal.record("now", None, EventKind::RunApproved { approval: approval() }).expect("it waits for it");
    journal.record("now", None, EventKind::RunResumed).expect("its process may be gone");
    assert!(journal.is_approved("switch"));
    journal.record("now", None, EventKind::RollbackStarted { reason: "asked for".into() }).expect("running");
    assert!(!journal.is_approved("switch"));
}
