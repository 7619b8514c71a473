//! One loaded flow.

pub(crate) mod attachments;
mod ends;
pub(crate) mod flows;
mod follow_ups;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod kinds;
mod shown;
mod upsert;
pub(crate) mod wants;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use self::ends::{FlowEnd, taken};
use self::follow_ups::FollowUps;
use self::info::FlowInfo;
use self::shown::{ShownVariable, show, shown};
use super::agentflow;
use super::compile::Compiler;
use super::demo::DemoChain;
use crate::config::EngineLimits;
use crate::engine::agentflow::Agentflow;
use crate::engine::compile::context::{CompileContext, Missing};
use crate::engine::compile::export::{Export, ExportNode, Generation};
use crate::engine::compile::inputs::referred;
use crate::engine::compile::part::Part;
use crate::engine::compile::problem::NodeProblem;
use crate::engine::compile::unset::Unset;
use crate::engine::compile::varied::{self, VariedInput};
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::flows::Subflow;
use crate::engine::contract::history::{Memory, recalled, remember, tell_history};
use crate::engine::contract::memory::Turn;
use crate::engine::contract::node::{Reply, ReplyContent, VectorStore};
use crate::engine::contract::request::RunRequest;
use crate::engine::contract::run::Run;
use crate::engine::documents::index::Indexes;
use crate::engine::scripts::post_processor::{Answered, PostProcessor};
use crate::engine::sequential::{self, SequentialFlow};
use crate::engine::text::overrides::Overrides;

/// See the module.
#[derive(Debug)]
pub(crate) struct CompiledFlow {
    pub(crate) name: Arc<str>,
    export: Export,
    plan: FlowPlan,
    /// What makes follow-up prompts of its answers.
    follow_ups: Option<Arc<FollowUps>>,
    /// What was made of its documents, for as long as it is loaded.
    indexes: Indexes,
    context: Arc<CompileContext>,
    pub(crate) missing: Vec<Missing>,
    varied: Vec<VariedInput>,
    /// The models that its author chose, by name. Metrics show no others: a request may name any.
    pub(crate) models: Arc<[Box<str>]>,
    pub(crate) info: FlowInfo,
    /// Whether texts of it may show what was said before.
    shows_history: bool,
}

/// What is run.
#[derive(Debug, Clone)]
pub(crate) enum FlowPlan {
    /// Of the first generation: the nodes whose answers may be the flow's, whether it remembers them, the label of the
    /// memory that it has, and the variables that answers show, by name and by the node that sets them.
    Chain {
        ends: Vec<FlowEnd>,
        remembers: bool,
        memory: Option<String>,
        /// The memory of its last end that has one.
        recalls: Option<Arc<Memory>>,
        shown: Vec<ShownVariable>,
        /// Its vector stores, by node.
        stores: Vec<(String, Arc<dyn VectorStore>)>,
        /// What changes its answers.
        after: Option<Arc<PostProcessor>>,
    },
    /// Of agents of the first, with the variables that answers show.
    Sequential { flow: Arc<SequentialFlow>, shown: Vec<ShownVariable> },
    /// Of the second.
    Agentflow(Arc<Agentflow>),
}

impl FlowPlan {
    /// Of a flow of which nothing can be made.
    fn failing(unset: Arc<Unset>) -> Self {
        let (memory, recalls, shown, stores, after) = Default::default();
        Self::Chain { ends: vec![FlowEnd::only(unset)], remembers: false, memory, recalls, shown, stores, after }
    }

    /// Whether something of its chats is kept.
    fn remembers(&self) -> bool {
        match self {
            Self::Chain { remembers, .. } => *remembers,
            Self::Sequential { flow, .. } => flow.remembers(),
            Self::Agentflow(_) => true,
        }
    }
}

impl CompiledFlow {
    /// `folder`: of the files that the flow names.
    ///
    /// # Errors
    /// Everything that the engine cannot run.
    pub(crate) fn load(
        folder: Option<PathBuf>,
        name: &str,
        text: &str,
        context: &Arc<CompileContext>,
    ) -> Result<Self, Vec<NodeProblem>> {
        let mut export = Export::read(text).map_err(|problem| vec![problem])?;
        export.folder = folder;
        Self::of(name, export, Indexes::default(), context, text.contains("chat_history"))
    }

    fn of(
        name: &str,
        export: Export,
        indexes: Indexes,
        context: &Arc<CompileContext>,
        shows_history: bool,
    ) -> Result<Self, Vec<NodeProblem>> {
        let built = build(&export, &indexes, context, &Overrides::default());
        let Built { plan, follow_ups, missing, varied, models, problems, .. } = built;
        let plan = plan.ok_or(problems)?;
        let info = FlowInfo::of(&export);
        let context = Arc::clone(context);
        let name = name.into();
        Ok(Self { name, export, plan, follow_ups, indexes, context, missing, varied, models, info, shows_history })
    }

    /// What one run of it may take.
    pub(crate) fn limits(&self) -> EngineLimits {
        self.context.limits
    }

    /// The same flow made with what another context has; `None`: it is this one's, or there it cannot be run.
    pub(crate) fn under(&self, context: &Arc<CompileContext>) -> Option<Self> {
        let is_other = !Arc::ptr_eq(context, &self.context);
        let made = || Self::of(&self.name, self.export.clone(), self.indexes.clone(), context, self.shows_history).ok();
        is_other.then(made).flatten()
    }

    /// Whether something of its chats is kept.
    pub(crate) fn remembers(&self) -> bool {
        self.plan.remembers()
    }

    /// The flow of `flowgate demo`, which no export describes.
    pub(crate) fn demo(context: &Arc<CompileContext>) -> Self {
        let export = Export {
            nodes: Vec::new(),
            edges: Vec::new(),
            chatbot_config: None,
            follow_up_prompts: None,
            folder: None,
        };
        Self {
            name: "demo".into(),
            info: FlowInfo { streams: true, ..FlowInfo::of(&export) },
            export,
            plan: FlowPlan::Chain {
                ends: vec![FlowEnd::only(Arc::new(DemoChain::new()))],
                remembers: false,
                memory: None,
                recalls: None,
                shown: Vec::new(),
                stores: Vec::new(),
                after: None,
            },
            follow_ups: None,
            indexes: Indexes::default(),
            context: Arc::clone(context),
            missing: Vec::new(),
            varied: Vec::new(),
            models: Arc::default(),
            shows_history: false,
        }
    }

    /// What is run for a request that overrides inputs of nodes, or fills in variables that settings name; `None`: what
    /// is run for every request.
    ///
    /// # Errors
    /// A value that the node cannot take.
    pub(crate) fn overridden(&self, request: &RunRequest) -> Result<Option<FlowPlan>, Failure> {
        if request.overrides.values.is_empty() && self.varied.is_empty() {
            return Ok(None);
        }
        let overrides = varied::filled(&self.varied, &self.export, &self.name, request);
        let Built { plan, problems, .. } = build(&self.export, &self.indexes, &self.context, &overrides);
        plan.map(Some).ok_or_else(|| Failure::Override(problems.first().map(named).unwrap_or_default()))
    }

    /// As [`answer_by`](Self::answer_by), at once.
    #[cfg(test)]
    pub(crate) async fn answer(&self, run: &Run<'_>) -> Result<Reply, Failure> {
        let overridden = self.overridden(run.request)?;
        self.answer_by(overridden.as_ref(), run).await
    }

    /// Answers a prediction, with what [`overridden`](Self::overridden) made of it.
    pub(crate) async fn answer_by(&self, overridden: Option<&FlowPlan>, run: &Run<'_>) -> Result<Reply, Failure> {
        let mut reply = self.replied(overridden, run).await?;
        if let Some(follow_ups) = &self.follow_ups {
            Box::pin(follow_ups.add(&mut reply, run)).await?;
        }
        Ok(reply)
    }

    async fn replied(&self, overridden: Option<&FlowPlan>, run: &Run<'_>) -> Result<Reply, Failure> {
        run.budget().hold(run.request.bytes())?;
        let plan = overridden.unwrap_or(&self.plan);
        match plan {
            FlowPlan::Chain { ends, remembers, memory, recalls, shown, after, .. } => {
                if let Some(memory) = recalls.as_ref().filter(|_| self.shows_history || overridden.is_some()) {
                    tell_history(memory, run).await;
                }
                run.budget().step()?;
                let question = &*run.request.question_with_files();
                let mut reply = taken(ends, question, run).await?.answer(question, run, true).await?;
                if let Some(memory) = memory {
                    reply.memory = Some(memory.clone());
                }
                show(shown, question, &mut reply, run).await?;
                if let Some(after) = after {
                    change(after, recalls.is_some(), &mut reply, run).await?;
                }
                if *remembers {
                    remember(run, run.request.question(), &reply.said.remembered()).await?;
                }
                Ok(reply)
            }
            FlowPlan::Sequential { flow, shown } => {
                let tells = self.shows_history || overridden.is_some();
                let mut reply = Box::pin(flow.answer(run, tells)).await?;
                show(shown, run.request.question(), &mut reply, run).await?;
                Ok(reply)
            }
            // Boxed: chains need not be as large.
            FlowPlan::Agentflow(agentflow) => Box::pin(agentflow.answer(run)).await,
        }
    }
}

impl Subflow for CompiledFlow {
    fn name(&self) -> &str {
        &self.name
    }

    /// Nobody sees what might be asked next.
    fn answer<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Reply> {
        Box::pin(async move {
            let overridden = self.overridden(run.request)?;
            self.replied(overridden.as_ref(), run).await
        })
    }
}

/// The field of the request that a problem comes from; its sender need not know the flow's nodes.
fn named(problem: &NodeProblem) -> String {
    let dot = if problem.input.is_some() { "." } else { "" };
    format!("overrideConfig{dot}{}: {}", problem.input.as_deref().unwrap_or_default(), problem.message)
}

/// What became of an export.
pub(crate) struct Built {
    /// `None`: there are problems.
    plan: Option<FlowPlan>,
    follow_ups: Option<Arc<FollowUps>>,
    pub(crate) problems: Vec<NodeProblem>,
    /// What stands in nodes and changes nothing.
    pub(crate) passed_over: Vec<NodeProblem>,
    pub(crate) missing: Vec<Missing>,
    varied: Vec<VariedInput>,
    models: Arc<[Box<str>]>,
}

pub(crate) fn build(export: &Export, indexes: &Indexes, context: &CompileContext, overrides: &Overrides) -> Built {
    let mut compiler = Compiler::new(export, context, overrides, kinds::KINDS, indexes);
    let plan = plan(export, &mut compiler);
    let follow_ups = FollowUps::read(&mut compiler);
    let Compiler { problems, passed_over, missing, varied, models, .. } = compiler;
    Built {
        plan: plan.filter(|_| problems.is_empty()),
        follow_ups,
        problems,
        passed_over,
        missing,
        varied,
        models: models.into(),
    }
}

fn plan(export: &Export, compiler: &mut Compiler<'_>) -> Option<FlowPlan> {
    if export.is_agentflow() {
        return Some(FlowPlan::Agentflow(Arc::new(agentflow::compile(export, compiler)?)));
    }
    if export.generation() == Generation::AgentflowV1 {
        let flow = sequential::compile(export, compiler);
        let loose = export.loose();
        let sets = |node: &&ExportNode| node.data.name == "setVariable" && !loose.contains(&*node.id);
        let parts =
            export.nodes.iter().filter(sets).filter_map(|node| Some((&*node.id, compiler.part(&node.id)?))).collect();
        return match flow {
            Some(flow) => Some(FlowPlan::Sequential { flow: Arc::new(flow), shown: shown(export, &parts) }),
            None => compiler.unset.take().map(FlowPlan::failing),
        };
    }
    // All nodes that lead to its ends, so that every obstacle is known at once.
    let loose = export.loose();
    let runs = |node: &&ExportNode| !node.is_note() && !loose.contains(&*node.id);
    let ids: Vec<&str> = export.nodes.iter().filter(runs).map(|node| &*node.id).collect();
    let parts: HashMap<&str, Part> = ids.into_iter().filter_map(|id| Some((id, compiler.part(id)?))).collect();
    let last: Vec<&str> = export.last_nodes().iter().map(|node| &*node.id).filter(|id| !loose.contains(id)).collect();
    let end = |id: &&str| Some(FlowEnd::to(id, parts.get(id)?.clone().into_chain()?, export, &parts));
    let ends: Vec<FlowEnd> = last.iter().filter_map(end).collect();
    let stores = stores(export, &parts);
    // One that only fills a store answers nobody, and may be asked to.
    if ends.is_empty() && stores.is_empty() && compiler.problems.is_empty() {
        compiler.of_flow("it has no chain or agent that ends it");
    }
    let memory = parts.values().find_map(|part| match part {
        Part::Memory(memory) => Some(memory.label.clone()),
        _ => None,
    });
    let recalls = last.iter().rev().find_map(|id| {
        let reference = export.node(id)?.data.inputs.get("memory")?.as_str().and_then(referred)?;
        match parts.get(reference) {
            Some(Part::Memory(memory)) => Some(Arc::clone(memory)),
            _ => None,
        }
    });
    let shown = shown(export, &parts);
    let remembers = compiler.remembers;
    let is_of_use = !ends.is_empty() || !stores.is_empty();
    let after = PostProcessor::read(compiler);
    is_of_use.then_some(FlowPlan::Chain { ends, remembers, memory, recalls, shown, stores, after })
}

/// The vector stores of a flow, in the order of its nodes.
fn stores(export: &Export, parts: &HashMap<&str, Part>) -> Vec<(String, Arc<dyn VectorStore>)> {
    let nodes = export.nodes.iter().filter(|node| node.data.category == "Vector Stores");
    let store = |node: &ExportNode| {
        let store = match parts.get(&*node.id)?.clone() {
            Part::VectorStore(store) => store,
            Part::Retriever(retriever) => retriever.store()?,
            Part::Unset(unset) => unset,
            _ => return None,
        };
        Some((node.id.clone(), store))
    };
    nodes.filter_map(store).collect()
}

/// Makes of an answer what the flow's program makes of it. What a parser gave stays as it is.
async fn change(after: &PostProcessor, has_memory: bool, reply: &mut Reply, run: &Run<'_>) -> Result<(), Failure> {
    let ReplyContent::Text(text) = &reply.said else { return Ok(()) };
    let turn = |turn: &Turn| {
        let kind = if turn.by_user { "userMessage" } else { "apiMessage" };
        json!({ "message": turn.text, "type": kind })
    };
    let history = if has_memory { recalled(run).await?.iter().map(turn).collect() } else { Vec::new() };
    let answered = Answered { text, input: run.request.question().into(), history, fields: Some(&reply.fields) };
    if let Some(text) = after.changed(answered, run).await? {
        reply.said = ReplyContent::Text(text);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
