//! One thing looked at once: the expectations of `[expect] at`.

use super::judge::Failure;
use super::play::Player;
use super::{Check, Compare, FateWord, PacketRef, Received, What as Looked};
use crate::endpoint::{Arrival, Errno, State};
use crate::net::{Fate, Loss};
use crate::sim::AttemptEnd;
use crate::trace::What;

impl Player<'_> {
    /// Looks once; gives what is wrong.
    pub(super) fn look(&self, check: &Check) -> Option<Failure> {
        let (what, expected, got) = match &check.what {
            Looked::Netstat { host, counts } => self.netstat(host, counts)?,
            Looked::Queue { listener, syn, accept } => self.queue(listener, syn.as_ref(), accept.as_ref())?,
            Looked::Load { load, ok, of, error } => self.load(load, ok.as_ref(), of.as_ref(), *error)?,
            Looked::Counter { host, counts } => self.counters(host, counts)?,
            Looked::Stream { socket, received } => self.received(socket, received)?,
            Looked::Dropped { packet, why } => self.dropped(packet, *why)?,
            Looked::Fate { packet, is } => self.fate(packet, *is)?,
            Looked::Segment { pattern, count } => {
                let n = self.count_segments(pattern);
                wrong(count, n, || format!("segments `{pattern}`"))?
            }
            Looked::Step { step, result, took } => self.step_result(step, result.as_ref(), took.as_ref())?,
            Looked::Unread { socket, bytes } => {
                let n = self.stream(socket).map_or(0, |stream| self.sim.unread(stream));
                wrong(bytes, n, || format!("unread of {socket}"))?
            }
            Looked::Elapsed(bound) => {
                let elapsed = self.sim.now().since(crate::time::SimTime::ZERO);
                (!bound.holds(&elapsed)).then(|| ("elapsed".to_owned(), bound.to_string(), elapsed.to_string()))?
            }
        };
        Some(Failure::Other { at: self.sim.now(), what, expected, got })
    }
}

type Wrong = (String, String, String);

/// `None` where `n` is as it should be.
fn wrong(bound: &Compare<u64>, n: u64, what: impl Fn() -> String) -> Option<Wrong> {
    (!bound.holds(&n)).then(|| (what(), bound.to_string(), n.to_string()))
}

impl Player<'_> {
    /// How many segments of this kind were sent.
    fn count_segments(&self, pattern: &super::SegmentPattern) -> u64 {
        let sent = self.sim.records().iter().filter(|record| match &record.what {
            What::Sent(sent) => super::judge::matches_sent(&self.sim, pattern, sent),
            _ => false,
        });
        sent.count() as u64
    }

    fn node(&self, host: &str) -> Option<crate::trace::NodeId> {
        self.hosts.get(host).copied()
    }

    /// Every state that has a connection, and every state that should have some.
    fn netstat(&self, host: &str, counts: &[(State, Compare<u64>)]) -> Option<Wrong> {
        let got = self.sim.netstat(self.node(host)?).counts();
        let count = |state: State| u64::from(got.get(&state).copied().unwrap_or(0));
        let bound = |state: State| counts.iter().find(|(s, _)| *s == state).map(|(_, bound)| bound);
        let fits = |state: State| bound(state).map_or(count(state) == 0, |bound| bound.holds(&count(state)));
        if State::ALL.into_iter().all(fits) {
            return None;
        }
        let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        let expected = counts.iter().map(|(state, bound)| format!("{state} {bound}")).collect();
        let got = got.iter().map(|(state, n)| format!("{state} {n}")).collect();
        Some((format!("netstat {host}"), list(expected), list(got)))
    }

    fn queue(
        &self,
        listener: &super::HostPort,
        syn: Option<&Compare<u64>>,
        accept: Option<&Compare<u64>>,
    ) -> Option<Wrong> {
        let what = || format!("queue {}:{}", listener.host, listener.port);
        let views = self.sim.listeners(self.node(&listener.host)?);
        let Some(view) = views.iter().find(|view| view.local.port() == listener.port) else {
            return Some((what(), "a listener".to_owned(), "none".to_owned()));
        };
        let one =
            |bound: Option<&Compare<u64>>, n: u32, name: &str| wrong(bound?, n.into(), || format!("{} {name}", what()));
        one(syn, view.syn, "syn").or_else(|| one(accept, view.accept, "accept"))
    }

    fn load(
        &self,
        load: &str,
        ok: Option<&Compare<u64>>,
        of: Option<&Compare<u64>>,
        error: Option<crate::endpoint::Errno>,
    ) -> Option<Wrong> {
        let apps = self.loads.get(load).map_or(&[][..], Vec::as_slice);
        let attempts: Vec<_> = apps.iter().flat_map(|&app| self.sim.stats(app).attempts()).collect();
        let succeeded = attempts.iter().filter(|attempt| attempt.end == AttemptEnd::Ok).count() as u64;
        let bad = |bound: Option<&Compare<u64>>, n: u64, name: &str| wrong(bound?, n, || format!("load {load} {name}"));
        if let Some(found) = bad(ok, succeeded, "ok").or_else(|| bad(of, attempts.len() as u64, "of")) {
            return Some(found);
        }
        let wanted = error?;
        // An application whose patience ran out tells its user what a timed-out call would.
        let errno = |end: AttemptEnd| match end {
            AttemptEnd::Ok => None,
            AttemptEnd::Failed(errno) => Some(errno.to_string()),
            AttemptEnd::TimedOut => Some(Errno::ETIMEDOUT.to_string()),
            AttemptEnd::CutShort => Some("the stream ended too soon".to_owned()),
        };
        let other = attempts.iter().filter_map(|attempt| errno(attempt.end)).find(|got| *got != wanted.name())?;
        Some((format!("load {load} error"), wanted.to_string(), other))
    }

    fn counters(&self, host: &str, counts: &[(super::Spanned<String>, Compare<u64>)]) -> Option<Wrong> {
        let node = self.node(host)?;
        counts.iter().find_map(|(name, bound)| match self.sim.counter(node, name) {
            Some(n) => wrong(bound, n, || format!("counter {host} {name}")),
            None => Some((format!("counter {host} {name}"), bound.to_string(), "no such counter".to_owned())),
        })
    }

    fn received(&self, socket: &str, received: &Received) -> Option<Wrong> {
        let what = || format!("received by {socket}");
        let stream = self.stream(socket);
        let got = stream.map(|stream| self.sim.received(stream));
        let shown =
            || got.as_ref().map_or_else(|| "no such socket: nothing accepted it".to_owned(), |got| format!("{got:?}"));
        match received {
            Received::Text(text) => {
                let fits = got.as_ref().is_some_and(|got| *got == text.as_str()) || (got.is_none() && text.is_empty());
                (!fits).then(|| (what(), format!("{text:?}"), shown()))
            }
            Received::Bytes(bound) => wrong(bound, got.as_ref().map_or(0, |got| got.len()), what),
            Received::All(writer) => {
                let written = self.stream(writer).map(|stream| self.sim.written(stream)).unwrap_or_default();
                let fits = got.as_ref().is_some_and(|got| *got == written[..]);
                (!fits).then(|| (what(), format!("all {} bytes written to {writer}", written.len()), shown()))
            }
        }
    }

    fn dropped(&self, packet: &PacketRef, why: Option<crate::endpoint::DropReason>) -> Option<Wrong> {
        let packets = self.packets(packet);
        let mut seen = Vec::new();
        for record in self.sim.records() {
            if let What::Arrived(arrived) = &record.what
                && packets.contains(&(arrived.link, arrived.n))
            {
                match arrived.outcome {
                    Some(Arrival::Dropped(reason)) if why.is_none_or(|why| why == reason) => return None,
                    Some(Arrival::Dropped(reason)) => seen.push(format!("dropped: {reason}")),
                    Some(other) => seen.push(format!("{other:?}").to_lowercase()),
                    None => seen.push("taken".to_owned()),
                }
            }
        }
        let expected = why.map_or_else(|| "dropped".to_owned(), |why| format!("dropped: {why}"));
        let got = if seen.is_empty() { "it never arrived".to_owned() } else { seen.join(", ") };
        Some((format!("packet {}", named(packet)), expected, got))
    }

    fn fate(&self, packet: &PacketRef, is: FateWord) -> Option<Wrong> {
        let packets = self.packets(packet);
        let mut fates = self.sim.records().iter().filter_map(|record| match &record.what {
            What::Sent(sent) if packets.contains(&(sent.link, sent.n)) => Some(&*sent.fate),
            _ => None,
        });
        let fate = fates.next();
        if fate.is_some_and(|fate| word_fits(is, fate)) {
            return None;
        }
        let word = FateWord::ALL.iter().find(|(_, word)| *word == is).map_or("", |(word, _)| word);
        let got = fate.map_or_else(|| "it was never sent".to_owned(), ToString::to_string);
        Some((format!("fate of {}", named(packet)), word.to_owned(), got))
    }

    fn step_result(
        &self,
        step: &str,
        result: Option<&super::Outcome>,
        took: Option<&Compare<crate::time::Span>>,
    ) -> Option<Wrong> {
        let returned = self.result_of(step);
        let shown = || returned.map_or_else(|| "it has not returned".to_owned(), super::play::show);
        if let Some(expected) = result
            && !returned.is_some_and(|returned| super::play::fits(expected, &returned.result))
        {
            return Some((format!("step {step}"), super::play::outcome_text(expected), shown()));
        }
        let took = took?;
        let fits = returned.is_some_and(|returned| took.holds(&returned.took));
        (!fits).then(|| (format!("step {step} took"), took.to_string(), shown()))
    }
}

fn named(packet: &PacketRef) -> String {
    match packet {
        PacketRef::Fault(name) => name.to_string(),
        PacketRef::Packet(name) => name.to_string(),
    }
}

fn word_fits(word: FateWord, fate: &Fate) -> bool {
    match (word, fate) {
        (FateWord::Delivered, fate) => matches!(fate, Fate::Delivered(_) | Fate::Changed { .. }),
        (FateWord::Lost, Fate::Lost(loss)) => matches!(loss, Loss::Impairment(_) | Loss::Fault(_)),
        (FateWord::Corrupted, Fate::Changed { corrupt_bit, .. }) => corrupt_bit.is_some(),
        (FateWord::Duplicated, Fate::Changed { copies, .. }) => !copies.is_empty(),
        (FateWord::Expired, Fate::Lost(loss)) => matches!(loss, Loss::Expired { .. }),
        (FateWord::QueueFull, Fate::Lost(loss)) => *loss == Loss::Impairment("queue"),
        (FateWord::TooBig, Fate::Lost(loss)) => matches!(loss, Loss::TooBig { .. }),
        (FateWord::NoHost, Fate::Lost(loss)) => *loss == Loss::NoHost,
        (FateWord::Blackhole, Fate::Lost(loss)) => *loss == Loss::Blackhole,
        (FateWord::Unreachable, Fate::Lost(loss)) => *loss == Loss::Unreachable,
        (FateWord::LinkDown, Fate::Lost(loss)) => *loss == Loss::Down,
        (FateWord::Held, fate) => matches!(fate, Fate::Held(_)),
        _ => false,
    }
}
