use super::cell::{Kind, SegAck, SegSeq};
use std::fmt;

/// Experiments that came to the same: every kind with every place of SEG.SEQ with every place of SEG.ACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<T> {
    /// Which kinds, in order.
    pub kinds: Vec<Kind>,
    /// Which places of SEG.SEQ, in order.
    pub seqs: Vec<SegSeq>,
    /// Which places of SEG.ACK, in order.
    pub acks: Vec<SegAck>,
    /// What it came to.
    pub value: T,
}

impl<T> Row<T> {
    /// Whether the experiment is one of this row.
    pub fn has(&self, kind: Kind, seq: SegSeq, ack: SegAck) -> bool {
        self.kinds.contains(&kind) && self.seqs.contains(&seq) && self.acks.contains(&ack)
    }

    /// How many experiments it holds.
    fn size(&self) -> usize {
        self.kinds.len() * self.seqs.len() * self.acks.len()
    }

    /// `SYN, SYN-ACK`.
    pub(super) fn kinds_text(&self) -> String {
        joined(&self.kinds, Kind::ALL.len(), Kind::name)
    }

    /// `any`, `in window`, `all but left edge`.
    pub(super) fn seqs_text(&self) -> String {
        match self.seqs[..] {
            [SegSeq::LeftEdge, SegSeq::Inside, SegSeq::RightEdge] => "in window".to_owned(),
            [SegSeq::OutsideLeft, SegSeq::OutsideRight] => "outside".to_owned(),
            _ => all_but(&self.seqs, &SegSeq::ALL, SegSeq::name),
        }
    }

    /// `any`, `old`, `all but beyond`.
    pub(super) fn acks_text(&self) -> String {
        all_but(&self.acks, &SegAck::ALL, SegAck::name)
    }
}

/// Kinds that a reader thinks of together; a row has kinds of one of these only.
const FAMILIES: [&[Kind]; 4] = [
    &[Kind::Syn, Kind::SynAck, Kind::SynFin],
    &[Kind::Ack, Kind::FinAck, Kind::Data, Kind::Urg],
    &[Kind::Fin],
    &[Kind::Rst, Kind::RstAck],
];

/// Folds a whole grid; where `at` gives nothing, there is no row.
pub(super) fn fold<T: Clone + PartialEq>(at: impl Fn(Kind, SegSeq, SegAck) -> Option<T>) -> Vec<Row<T>> {
    FAMILIES.into_iter().flat_map(|family| fold_family(family, &at)).collect()
}

/// Each row is the largest that is left.
fn fold_family<T: Clone + PartialEq>(family: &[Kind], at: &impl Fn(Kind, SegSeq, SegAck) -> Option<T>) -> Vec<Row<T>> {
    let mut left = Vec::new();
    for &kind in family {
        for seq in SegSeq::ALL {
            left.extend(SegAck::ALL.into_iter().filter_map(|ack| Some((kind, seq, ack, at(kind, seq, ack)?))));
        }
    }
    let (seqs, acks) = (subsets(&SegSeq::ALL), subsets(&SegAck::ALL));
    let mut rows = Vec::new();
    while let Some((_, _, _, value)) = left.first() {
        let value = value.clone();
        let same = |kind, seq, ack| left.contains(&(kind, seq, ack, value.clone()));
        let mut largest: Option<Row<T>> = None;
        for (seqs, acks) in seqs.iter().flat_map(|seqs| acks.iter().map(move |acks| (seqs, acks))) {
            let all = |kind: &Kind| seqs.iter().all(|&seq| acks.iter().all(|&ack| same(*kind, seq, ack)));
            let kinds: Vec<Kind> = family.iter().copied().filter(all).collect();
            let row = Row { kinds, seqs: seqs.clone(), acks: acks.clone(), value: value.clone() };
            if largest.as_ref().is_none_or(|largest| row.size() > largest.size()) {
                largest = Some(row);
            }
        }
        let Some(row) = largest else { break };
        left.retain(|(kind, seq, ack, _)| !row.has(*kind, *seq, *ack));
        rows.push(row);
    }
    rows.sort_by(|a, b| (a.kinds.first(), &a.seqs, &a.acks).cmp(&(b.kinds.first(), &b.seqs, &b.acks)));
    rows
}

/// Every set of places but the empty one; those that begin further left first.
fn subsets<P: Copy>(places: &[P]) -> Vec<Vec<P>> {
    let chosen = |bits: u32| (0..places.len()).filter(move |n| bits >> n & 1 == 1).map(|n| places[n]).collect();
    (1..1u32 << places.len()).map(chosen).collect()
}

fn joined<P: Copy>(places: &[P], all: usize, name: impl Fn(P) -> &'static str) -> String {
    if places.len() == all {
        return "any".to_owned();
    }
    places.iter().map(|&place| name(place)).collect::<Vec<_>>().join(", ")
}

fn all_but<P: Copy + PartialEq>(places: &[P], all: &[P], name: impl Fn(P) -> &'static str) -> String {
    let missing: Vec<P> = all.iter().copied().filter(|place| !places.contains(place)).collect();
    match missing[..] {
        [one] if all.len() > 2 => format!("all but {}", name(one)),
        _ => joined(places, all.len(), name),
    }
}

/// Lines of columns, each as wide as its widest text; the last one is not padded.
#[derive(Default)]
pub(super) struct Columns(Vec<Vec<String>>);

impl Columns {
    pub(super) fn line(&mut self, texts: Vec<String>) {
        self.0.push(texts);
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let texts = self.0.iter().filter_map(move |line| line.get(column));
            texts.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        for line in &self.0 {
            let mut text = String::new();
            for (column, part) in line.iter().enumerate() {
                let wide = width(column);
                text += &format!("  {part:wide$}");
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_to_the_same_is_one_row() {
        let rows = fold(|_, _, _| Some(1));
        assert_eq!(rows.len(), FAMILIES.len());
        assert_eq!(
            (rows[0].kinds_text(), rows[0].seqs_text(), rows[0].acks_text()),
            ("SYN, SYN-ACK, SYN-FIN".into(), "any".into(), "any".into())
        );
    }

    #[test]
    fn rows_cover_every_experiment_once() {
        let value = |kind: Kind, seq: SegSeq, ack: SegAck| {
            let exact = kind == Kind::Rst && seq == SegSeq::LeftEdge;
            Some(if exact { 9 } else { u8::from(kind == Kind::Data) * (seq as u8 + ack as u8) })
        };
        let rows = fold(value);
        for kind in Kind::ALL {
            for seq in SegSeq::ALL {
                for ack in SegAck::ALL {
                    let found: Vec<_> = rows.iter().filter(|row| row.has(kind, seq, ack)).collect();
                    assert_eq!(found.len(), 1, "{kind} {seq:?} {ack:?}");
                    assert_eq!(Some(found[0].value), value(kind, seq, ack));
                }
            }
        }
        let exact = rows.iter().find(|row| row.value == 9).unwrap();
        assert_eq!(
            (exact.kinds_text(), exact.seqs_text(), exact.acks_text()),
            ("RST".into(), "left edge".into(), "any".into())
        );
        let rest = rows.iter().find(|row| row.kinds.contains(&Kind::Rst) && row.value == 0).unwrap();
        assert_eq!((rest.kinds_text(), rest.seqs_text()), ("RST, RST-ACK".into(), "all but left edge".into()));
    }

    #[test]
    fn what_is_nothing_has_no_row() {
        let rows = fold(|kind, seq, _| (kind == Kind::Ack && seq == SegSeq::Inside).then_some(()));
        assert_eq!((rows.len(), rows[0].kinds_text(), rows[0].seqs_text()), (1, "ACK".into(), "inside".into()));
    }
}
