//! Where in an answer a value stands, and so what it is.

/// Fields of an answer, and events of a stream, in which failures may be told.
pub(super) const TELLING: [&[u8]; 5] =
    [b"usedTools", b"agentReasoning", b"agentFlowExecutedData", b"nextAgentFlow", b"agent_trace"];
/// Bytes of a name that are compared, as many as the longest that is known has.
const LONGEST_NAME: usize = 21;
/// Values within each other that are told apart; what lies deeper is of no interest.
const DEEPEST: usize = 200;

/// See the module.
pub(super) struct Places {
    is_stream: bool,
    /// What the next byte lies in, the outermost first.
    around: Vec<Level>,
    /// Further values around it, of no interest.
    beneath: usize,
    /// What a value here would be.
    next: ValueRole,
    name: FieldName,
}

/// A string that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenString {
    Passing,
    /// What it is decides on what follows.
    Name,
    /// Its bytes are held.
    Failure,
    Given,
    /// It was too long: spaces stand for its rest.
    Blank,
}

/// A value that is open.
#[derive(Debug, Clone, Copy)]
struct Level {
    place: Place,
    is_object: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Answer,
    /// Of a stream, and whether its event may tell failures.
    Record {
        tells: bool,
    },
    /// A tool, or a step, or its data; or a list of these.
    Failing,
    /// Something in these.
    Part,
    /// Why it failed.
    Failure,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueRole {
    Is(Place),
    /// The name of a field.
    Key,
    /// The name of a record's event.
    Event,
    /// What a tool gave, which may be why it failed.
    Given,
    /// Of no interest.
    Plain,
}

#[derive(Debug, Default)]
struct FieldName {
    bytes: [u8; LONGEST_NAME],
    /// If it is longer, it is none that is known.
    length: usize,
}

impl FieldName {
    fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes.get_mut(self.length.min(LONGEST_NAME)..).unwrap_or_default();
        room.iter_mut().zip(bytes).for_each(|(room, byte)| *room = *byte);
        self.length += bytes.len();
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Places {
    pub(super) fn new(is_stream: bool) -> Self {
        let mut places =
            Self { is_stream, around: Vec::new(), beneath: 0, next: ValueRole::Plain, name: FieldName::default() };
        places.begin();
        places
    }

    /// At the beginning of an answer, or of a stream's record.
    pub(super) fn begin(&mut self) {
        self.around.clear();
        self.beneath = 0;
        self.next = ValueRole::Is(if self.is_stream { Place::Record { tells: false } } else { Place::Answer });
    }

    /// What a string is that begins here.
    pub(super) fn begin_string(&mut self) -> OpenString {
        match self.next {
            _ if self.beneath > 0 => OpenString::Passing,
            ValueRole::Key | ValueRole::Event => {
                self.name = FieldName::default();
                OpenString::Name
            }
            ValueRole::Is(Place::Failure) => OpenString::Failure,
            ValueRole::Given => OpenString::Given,
            ValueRole::Is(_) | ValueRole::Plain => OpenString::Passing,
        }
    }

    /// A part of a name.
    pub(super) fn name(&mut self, part: &[u8]) {
        self.name.push(part);
    }

    /// The name is whole; whether there is anything of interest in what follows of the record.
    pub(super) fn end_name(&mut self) -> bool {
        let tells = self.next != ValueRole::Event || TELLING.contains(&self.name.get());
        if let (ValueRole::Event, Some(record)) = (self.next, self.around.last_mut()) {
            record.place = Place::Record { tells };
        }
        tells
    }

    /// A byte outside of strings.
    pub(super) fn mark(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' => self.open(byte == b'{'),
            b'}' | b']' if self.beneath > 0 => self.beneath -= 1,
            b'}' | b']' => {
                self.around.pop();
                self.next = ValueRole::Plain;
            }
            b',' if self.beneath == 0 => self.next = self.item(),
            b':' if self.beneath == 0 => self.next = self.value(),
            _ => {}
        }
    }

    fn open(&mut self, is_object: bool) {
        match self.next {
            ValueRole::Is(place) if self.beneath == 0 && self.around.len() < DEEPEST => {
                self.around.push(Level { place, is_object });
                self.next = self.item();
            }
            _ => self.beneath += 1,
        }
    }

    /// What comes next in the value that is open.
    fn item(&self) -> ValueRole {
        match self.around.last() {
            Some(Level { is_object: true, .. }) => ValueRole::Key,
            Some(Level { place: place @ (Place::Failing | Place::Part | Place::Failure), .. }) => ValueRole::Is(*place),
            _ => ValueRole::Plain,
        }
    }

    /// What the value of the field is that was named last.
    fn value(&self) -> ValueRole {
        let name = self.name.get();
        let Some(Level { place, .. }) = self.around.last() else { return ValueRole::Plain };
        match (place, name) {
            (Place::Answer, name) if TELLING.contains(&name) => ValueRole::Is(Place::Failing),
            (Place::Record { .. }, b"event") => ValueRole::Event,
            (Place::Failing, b"error") | (Place::Failure, _) => ValueRole::Is(Place::Failure),
            (Place::Record { tells: true } | Place::Failing, b"data")
            | (Place::Failing | Place::Part, b"usedTools") => ValueRole::Is(Place::Failing),
            (Place::Failing, b"toolOutput") => ValueRole::Given,
            (Place::Failing, b"toolInput") | (Place::Answer | Place::Record { .. }, _) => ValueRole::Plain,
            (Place::Failing | Place::Part, _) => ValueRole::Is(Place::Part),
        }
    }
}
