//! A pattern as JavaScript reads it (ECMA-262, annex B, without flags), written for the engine that looks for it.

use std::fmt::Write as _;

use super::units::{LINE_ENDS, UnitSet, class_of, inverted, write_unit};

/// The pattern; `None`: it is none.
pub(super) fn translated(pattern: &str) -> Option<String> {
    let units: Vec<u32> = pattern.encode_utf16().map(u32::from).collect();
    let (count, names) = groups(&units)?;
    let mut reader =
        PatternReader { units: &units, at: 0, out: String::new(), open: Vec::new(), opened: 0, count, names };
    reader.all()?;
    Some(reader.out)
}

/// How many groups a pattern has, and what they are called.
fn groups(units: &[u32]) -> Option<(u32, Vec<(String, u32)>)> {
    let (mut count, mut names, mut at, mut in_set) = (0, Vec::new(), 0, false);
    while let Some(&unit) = units.get(at) {
        at += 1;
        match char::from_u32(unit) {
            Some('\\') => at += 1,
            Some('[') => in_set = true,
            Some(']') => in_set = false,
            Some('(') if !in_set && !is_at(units, at, "?") => count += 1,
            Some('(') if !in_set && is_at(units, at, "?<") && !is_at(units, at, "?<=") && !is_at(units, at, "?<!") => {
                count += 1;
                let name = name_at(units, at + 2)?;
                if names.iter().any(|(known, _)| *known == name) {
                    return None;
                }
                names.push((name, count));
            }
            _ => {}
        }
    }
    Some((count, names))
}

fn is_at(units: &[u32], at: usize, text: &str) -> bool {
    units.get(at..).is_some_and(|rest| {
        rest.iter().copied().zip(text.bytes()).filter(|(a, b)| *a == u32::from(*b)).count() == text.len()
    })
}

/// The name before the `>` that comes next.
fn name_at(units: &[u32], at: usize) -> Option<String> {
    let rest = units.get(at..)?;
    let end = rest.iter().position(|unit| *unit == u32::from('>'))?;
    let name: Vec<u16> = rest.get(..end)?.iter().filter_map(|unit| u16::try_from(*unit).ok()).collect();
    let name = String::from_utf16(&name).ok()?;
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$');
    (name.chars().all(is_part) && name.starts_with(|letter: char| !letter.is_numeric())).then_some(name)
}

struct PatternReader<'p> {
    units: &'p [u32],
    at: usize,
    out: String,
    /// Groups that are open: where each begins, and whether it may be repeated.
    open: Vec<(usize, bool)>,
    opened: u32,
    count: u32,
    names: Vec<(String, u32)>,
}

/// What may be repeated, by where it begins; nothing else may.
type Atom = Option<usize>;

impl PatternReader<'_> {
    fn next(&mut self) -> Option<u32> {
        let unit = self.units.get(self.at).copied();
        self.at += usize::from(unit.is_some());
        unit
    }

    fn takes(&mut self, text: &str) -> bool {
        let is_next = is_at(self.units, self.at, text);
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    fn all(&mut self) -> Option<()> {
        let mut atom: Atom = None;
        while let Some(unit) = self.next() {
            let begin = self.out.len();
            atom = match char::from_u32(unit) {
                Some('^') => self.write("\\A", None),
                Some('$') => self.write("\\z", None),
                Some('|') => self.write("|", None),
                Some('.') => {
                    self.set(&inverted(LINE_ENDS));
                    Some(begin)
                }
                Some('(') => self.group()?,
                Some(')') => {
                    let (begin, repeats) = self.open.pop()?;
                    self.out.push(')');
                    repeats.then_some(begin)
                }
                Some('[') => {
                    self.bracketed()?;
                    Some(begin)
                }
                Some('\\') => self.escape()?,
                Some('*' | '+' | '?') => {
                    self.repeated(atom, char::from_u32(unit)?.encode_utf8(&mut [0; 4]))?;
                    None
                }
                Some('{') => {
                    let times = self.times()?;
                    if times.is_empty() {
                        Some(self.unit(unit))
                    } else {
                        self.repeated(atom, &times)?;
                        None
                    }
                }
                _ => Some(self.unit(unit)),
            };
        }
        self.open.is_empty().then_some(())
    }

    fn write(&mut self, text: &str, atom: Atom) -> Atom {
        self.out.push_str(text);
        atom
    }

    /// Where it begins.
    fn unit(&mut self, unit: u32) -> usize {
        let begin = self.out.len();
        write_unit(unit, &mut self.out);
        begin
    }

    fn group(&mut self) -> Option<Atom> {
        let begin = self.out.len();
        let (head, repeats) = if self.takes("?:") {
            ("(?:", true)
        } else if self.takes("?=") {
            ("(?=", true)
        } else if self.takes("?!") {
            ("(?!", true)
        } else if self.takes("?<=") {
            ("(?<=", false)
        } else if self.takes("?<!") {
            ("(?<!", false)
        } else if self.takes("?<") {
            self.at += self.units.get(self.at..)?.iter().position(|unit| *unit == u32::from('>'))? + 1;
            self.opened += 1;
            ("(", true)
        } else if is_at(self.units, self.at, "?") {
            return None;
        } else {
            self.opened += 1;
            ("(", true)
        };
        self.open.push((begin, repeats));
        Some(self.write(head, None))
    }

    /// `{2}`, `{2,}` or `{2,3}`; nothing where the bracket is itself.
    fn times(&mut self) -> Option<String> {
        let before = self.at;
        let digits = |reader: &mut Self| {
            let mut digits = String::new();
            while let Some(digit) =
                reader.units.get(reader.at).copied().and_then(char::from_u32).filter(char::is_ascii_digit)
            {
                digits.push(digit);
                reader.at += 1;
            }
            digits
        };
        let least = digits(self);
        let has_comma = !least.is_empty() && self.takes(",");
        let most = if has_comma { digits(self) } else { String::new() };
        if least.is_empty() || !self.takes("}") {
            self.at = before;
            return Some(String::new());
        }
        let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
        if !most.is_empty() && number(&most) < number(&least) {
            return None;
        }
        Some(if has_comma { format!("{{{least},{most}}}") } else { format!("{{{least}}}") })
    }

    fn repeated(&mut self, atom: Atom, times: &str) -> Option<()> {
        let begin = atom?;
        let looks_ahead =
            ["(?=", "(?!"].iter().any(|head| self.out.get(begin..).is_some_and(|rest| rest.starts_with(head)));
        if !looks_ahead {
            self.out.push_str(times);
        } else if times.starts_with(['*', '?']) || times.starts_with("{0") {
            // What takes no place is the same once or often.
            self.out.insert_str(begin, "(?:");
            self.out.push_str("|)");
        }
        let is_lazy = self.takes("?");
        if is_lazy && !looks_ahead {
            self.out.push('?');
        }
        Some(())
    }

    fn escape(&mut self) -> Option<Atom> {
        let begin = self.out.len();
        let unit = self.next()?;
        Some(match char::from_u32(unit) {
            Some('b') => self.write("\\b", None),
            Some('B') => self.write("\\B", None),
            Some('k') if !self.names.is_empty() => {
                let name = if self.takes("<") { name_at(self.units, self.at)? } else { return None };
                self.at += self.units.get(self.at..)?.iter().position(|unit| *unit == u32::from('>'))? + 1;
                let group = self.names.iter().find(|(known, _)| *known == name)?.1;
                Some(self.reference(group))
            }
            Some('1'..='9') => Some(if let Some(group) = self.group_number(unit) {
                self.reference(group)
            } else {
                let unit = self.octal(unit);
                self.unit(unit)
            }),
            _ => {
                if let Some(set) = class_of(unit) {
                    self.set(&set);
                } else {
                    let unit = self.character(unit, false);
                    write_unit(unit, &mut self.out);
                }
                Some(begin)
            }
        })
    }

    /// What a group found; of one that found nothing, nothing.
    fn reference(&mut self, group: u32) -> usize {
        let begin = self.out.len();
        let _ = write!(self.out, "(?({group})\\{group}|)");
        begin
    }

    /// The number of a group that there is, with its further digits.
    fn group_number(&mut self, first: u32) -> Option<u32> {
        let before = self.at;
        let mut number = first - 0x30;
        while let Some(digit) = self.units.get(self.at).copied().filter(|unit| (0x30..=0x39).contains(unit)) {
            number = number.saturating_mul(10).saturating_add(digit - 0x30);
            self.at += 1;
        }
        if number <= self.count {
            return Some(number);
        }
        self.at = before;
        None
    }

    /// `\101`, or the digit itself.
    fn octal(&mut self, first: u32) -> u32 {
        if first > 0x37 {
            return first;
        }
        let mut value = first - 0x30;
        let most = if first <= 0x33 { 2 } else { 1 };
        for _ in 0..most {
            match self.units.get(self.at).copied().filter(|unit| (0x30..=0x37).contains(unit)) {
                Some(digit) => {
                    value = value * 8 + digit - 0x30;
                    self.at += 1;
                }
                None => break,
            }
        }
        value
    }

    /// Any other letter behind a backslash.
    fn character(&mut self, unit: u32, in_set: bool) -> u32 {
        match char::from_u32(unit) {
            Some('t') => 0x09,
            Some('n') => 0x0A,
            Some('v') => 0x0B,
            Some('f') => 0x0C,
            Some('r') => 0x0D,
            Some('b') if in_set => 0x08,
            Some('0'..='9') => self.octal(unit),
            Some('x') => self.hexadecimal(2).unwrap_or(unit),
            Some('u') => self.hexadecimal(4).unwrap_or(unit),
            Some('c') => {
                let control = self.units.get(self.at).copied().and_then(char::from_u32);
                let is_one = |c: &char| c.is_ascii_alphabetic() || (in_set && (c.is_ascii_digit() || *c == '_'));
                if let Some(control) = control.filter(is_one) {
                    self.at += 1;
                    u32::from(control) % 32
                } else {
                    self.at -= 1;
                    u32::from('\\')
                }
            }
            _ => unit,
        }
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<u32> {
        let all = self.units.get(self.at..self.at + digits)?;
        let value = all.iter().try_fold(0, |value, unit| Some(value * 16 + char::from_u32(*unit)?.to_digit(16)?))?;
        self.at += digits;
        Some(value)
    }

    /// What is in brackets.
    fn bracketed(&mut self) -> Option<()> {
        let is_inverted = self.takes("^");
        let mut set: UnitSet = Vec::new();
        loop {
            let unit = self.next()?;
            if unit == u32::from(']') {
                break;
            }
            let first = self.member(unit)?;
            let is_range = is_at(self.units, self.at, "-") && !is_at(self.units, self.at, "-]");
            if !is_range {
                set.extend(first);
                continue;
            }
            self.at += 1;
            let unit = self.next()?;
            let last = self.member(unit)?;
            match (first.as_slice(), last.as_slice()) {
                (&[(from, one)], &[(to, other)]) if from == one && to == other => {
                    if to < from {
                        return None;
                    }
                    set.push((from, to));
                }
                _ => {
                    // Beside a class the sign is itself.
                    set.extend(first);
                    set.push((0x2D, 0x2D));
                    set.extend(last);
                }
            }
        }
        let set = if is_inverted { inverted(&set) } else { set };
        self.set(&set);
        Some(())
    }

    fn member(&mut self, unit: u32) -> Option<UnitSet> {
        if unit != u32::from('\\') {
            return Some(vec![(unit, unit)]);
        }
        let unit = self.next()?;
        if let Some(set) = class_of(unit) {
            return Some(set);
        }
        let unit = self.character(unit, true);
        Some(vec![(unit, unit)])
    }

    fn set(&mut self, set: &[(u32, u32)]) {
        // None at all is all but everything.
        self.out.push_str(if set.is_empty() { "[^\\x{0}-\u{10FFFF}" } else { "[" });
        for &(from, to) in set {
            for (from, to) in [(from, to.min(0x7F)), (from.max(0x80), to)] {
                if from <= to {
                    write_unit(from, &mut self.out);
                    self.out.push('-');
                    write_unit(to, &mut self.out);
                }
            }
        }
        self.out.push(']');
    }
}
