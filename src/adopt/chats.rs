//! What was said, as the engine remembers it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::keys::KeyPlan;
use super::plan::{AdoptionPlan, PlannedFlow};
use crate::engine::{ImportedChat, MOST_SESSIONS, MOST_TURNS, Turn};
use crate::exported::MessageRecord;
use crate::predict::session::{Namespace, Scope, SessionKey};

/// See the module.
pub(super) struct ChatPlan {
    pub(super) chats: Vec<ImportedChat>,
    /// How many exchanges are in them.
    pub(super) exchanges: usize,
}

/// A message, in the order of a chat.
struct SaidTurn {
    /// As Flowise writes it, so that it sorts.
    at: String,
    turn: Turn,
}

impl ChatPlan {
    /// Of flows that run here and remember. What waits for others in a chat is a caller's own: the one key's of a flow that
    /// has one; of a flow that is open to all, everybody's who knows it, as in Flowise.
    pub(super) fn of(plan: &AdoptionPlan, keys: &KeyPlan) -> Self {
        let remembers = |flow: &&PlannedFlow| flow.inspection.as_ref().is_ok_and(|found| found.remembers);
        let flows: HashMap<&str, &PlannedFlow> =
            plan.here().filter(remembers).filter_map(|flow| Some((flow.id.as_deref()?, flow))).collect();
        let mut sessions: BTreeMap<(String, String), VecDeque<SaidTurn>> = BTreeMap::new();
        for message in &plan.messages {
            let Some((flow, session, said)) = turn(message) else { continue };
            if flows.contains_key(&*flow) {
                sessions.entry((flow, session)).or_default().push_back(said);
            }
        }
        let mut by_flow: BTreeMap<String, Vec<(String, ImportedChat)>> = BTreeMap::new();
        for ((flow, session), turns) in sessions {
            let Some(planned) = flows.get(&*flow) else { continue };
            let (last, exchanges) = exchanges(turns);
            let session = session_id(planned, keys, &session);
            by_flow.entry(flow.clone()).or_default().push((last, ImportedChat { flow, session, exchanges }));
        }
        let mut chats = Vec::new();
        for (_, mut of_flow) in by_flow {
            // The one that was unused for longest is forgotten first, here as later.
            of_flow.sort_by(|(one, _), (other, _)| one.cmp(other));
            let too_many = of_flow.len().saturating_sub(MOST_SESSIONS);
            chats.extend(of_flow.into_iter().skip(too_many).map(|(_, chat)| chat));
        }
        let exchanges = chats.iter().map(|chat| chat.exchanges.len()).sum();
        Self { chats, exchanges }
    }
}

/// What the engine calls a session that its client calls so.
fn session_id(flow: &PlannedFlow, keys: &KeyPlan, session: &str) -> String {
    match (keys.id_of(flow), &flow.id) {
        (Some(key), Some(id)) if !flow.settings.is_public => {
            let sessions = SessionKey::new(None, Some(id));
            Namespace::new(sessions.of(id), Scope::Key(key)).upstream_id(session)
        }
        _ => session.to_owned(),
    }
}

/// The flow, the session, and what was said.
fn turn(message: &MessageRecord) -> Option<(String, String, SaidTurn)> {
    let by_user = match message.role.as_deref()? {
        "userMessage" => true,
        "apiMessage" => false,
        _ => return None,
    };
    let session = message.session_id.as_ref().or(message.chat_id.as_ref())?.clone();
    // The database writes a space where JSON has a T.
    let at = message.created_date.as_deref().unwrap_or_default().replace('T', " ").trim_end_matches('Z').to_owned();
    let turn = Turn { by_user, text: message.content.clone().unwrap_or_default() };
    Some((message.flow.as_ref()?.to_ascii_lowercase(), session, SaidTurn { at, turn }))
}

/// What was said in one go each, of the last turns that are remembered at all, and when the last was.
fn exchanges(turns: VecDeque<SaidTurn>) -> (String, Vec<Vec<Turn>>) {
    let mut turns = Vec::from(turns);
    turns.sort_by(|one, other| one.at.cmp(&other.at));
    let last = turns.last().map(|said| said.at.clone()).unwrap_or_default();
    let too_many = turns.len().saturating_sub(MOST_TURNS);
    let mut exchanges: Vec<Vec<Turn>> = Vec::new();
    for SaidTurn { turn, .. } in turns.into_iter().skip(too_many) {
        match exchanges.last_mut() {
            Some(exchange) if !turn.by_user => exchange.push(turn),
            _ => exchanges.push(vec![turn]),
        }
    }
    (last, exchanges)
}
