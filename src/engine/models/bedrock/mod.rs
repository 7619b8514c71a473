//! Models at AWS Bedrock, by its Converse API.

mod answer;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value};

use super::anthropic::takes_sampling;
use super::aws::{AwsAccess, AwsHost, AwsRequest, CREDENTIAL, region};
use super::connection::{ModelWithoutCredential, number};
use super::tokens::ExpiringCache;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::text::percent::component;

/// What Flowise asks where nothing is set.
const MODEL: &str = "anthropic.claude-haiku-4-5-20251001-v1:0";
const TEMPERATURE: f64 = 0.7;
const MOST_TOKENS: u64 = 200;
/// Models that take no stop words, by how their names begin.
const WITHOUT_STOP: &[&str] = &["deepseek.", "openai."];
/// Places that models' profiles are of.
const GEOS: &[&str] = &["us", "eu", "apac", "jp", "au", "ca", "global"];
/// Pages of a region's profiles.
const MOST_PAGES: usize = 20;
/// For which it is known which profile a model is asked by.
const PROFILE_TIME: Duration = Duration::from_hours(6);

/// A node of this family.
#[derive(Debug)]
pub(crate) struct ChatBedrock {
    names: &'static [&'static str],
    /// Whether it tells its words as they come, unless its author says otherwise.
    streams: bool,
    /// For tests, the input with the address of everything.
    address_input: &'static str,
}

pub(crate) const CHAT_BEDROCK: ChatBedrock =
    ChatBedrock { names: &["awsChatBedrock"], streams: true, address_input: "" };
/// The same, asked for one text after another.
pub(crate) const BEDROCK: ChatBedrock = ChatBedrock { names: &["awsBedrock"], streams: false, address_input: "" };

impl NodeKind for ChatBedrock {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let region = region(inputs);
        let own = inputs.text("endpointHost").map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
        // An ARN in the place of a host is what Flowise's users had before there was a place for it.
        let (own, misplaced) = match own {
            Some(arn) if arn.starts_with("arn:") => (None, Some(arn)),
            own => (own, None),
        };
        let name = inputs.text("model").unwrap_or_else(|| MODEL.to_owned());
        let custom = misplaced.or_else(|| inputs.text("customModel")).map(|custom| custom.trim().to_owned());
        let model = custom.unwrap_or(name);
        if model.contains(":imported-model/") {
            inputs.refuse("customModel", "the engine does not ask imported models");
        }
        let is_global = inputs.flag("useGlobalEndpoint").unwrap_or(false);
        // Flowise's library forgets it.
        inputs.ignore(&["latencyOptimized"]);
        let settings = settings(inputs, &model);
        let streams = inputs.streams() && self.streams;
        let sees_images = inputs.flag("allowImageUploads").unwrap_or(false);
        let region = region?;
        let access = AwsAccess::read(inputs, &region);
        let here = if self.address_input.is_empty() { None } else { inputs.text(self.address_input) };
        let address = here.clone().or_else(|| own.map(|own| format!("https://{}", host_of(&own))));
        let runtime = ("bedrock", "bedrock-runtime");
        let runtime = AwsHost::read(inputs, "endpointHost", runtime, &region, address.as_deref());
        let profiles = AwsHost::read(inputs, "region", ("bedrock", "bedrock"), &region, here.as_deref());
        let Some(access) = access else {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: CREDENTIAL })));
        };
        let (runtime, profiles, asked) = (runtime?, profiles?, ExpiringCache::default());
        Some(Part::Model(Arc::new(Bedrock {
            access,
            runtime,
            profiles,
            model,
            is_global,
            asked,
            settings,
            streams,
            sees_images,
        })))
    }
}

/// A host that is written as a URL, or with a path.
fn host_of(own: &str) -> &str {
    let own = own.split_once("://").map_or(own, |(_, rest)| rest);
    own.split(['/', '?', '#']).next().unwrap_or_default()
}

fn settings(inputs: &mut Inputs<'_, '_, '_>, model: &str) -> Map<String, Value> {
    let most = inputs.integer("max_tokens_to_sample").unwrap_or(MOST_TOKENS);
    let temperature = inputs.number("temperature").unwrap_or(TEMPERATURE);
    let mut settings = Map::new();
    settings.insert("maxTokens".to_owned(), most.into());
    if takes_sampling(model) {
        settings.insert("temperature".to_owned(), number(temperature));
    }
    settings
}

#[derive(Debug)]
struct Bedrock {
    access: AwsAccess,
    runtime: AwsHost,
    /// Where a region's profiles are listed.
    profiles: AwsHost,
    model: String,
    /// Whether a profile of the whole world goes before one of the region.
    is_global: bool,
    /// By which name the model is asked, once that is known.
    asked: ExpiringCache<String>,
    settings: Map<String, Value>,
    streams: bool,
    sees_images: bool,
}

impl ChatModel for Bedrock {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let takes_stop = !WITHOUT_STOP.iter().any(|beginning| plain(&self.model).starts_with(beginning));
            let body = request::body(&self.settings, &self.model, takes_stop, ask)?;
            let asked = self.asked(run).await;
            let verb = if self.streams { "converse-stream" } else { "converse" };
            let path = format!("/model/{}/{verb}", component(&asked));
            let incoming = self.access.post(&self.runtime, &path, &body, run).await?;
            answer::gathered(incoming, self.streams, ask).await
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        "aws.bedrock"
    }

    fn sees_images(&self) -> bool {
        self.sees_images
    }

    fn has_token_table(&self) -> bool {
        false
    }
}

/// A model's name without the place that it is a profile of.
fn plain(model: &str) -> &str {
    let geo = model.split_once('.').filter(|(geo, _)| GEOS.contains(geo));
    geo.map_or(model, |(_, model)| model)
}

impl Bedrock {
    /// A profile of the model's that the region has, or the model's own name.
    async fn asked(&self, run: &Run<'_>) -> String {
        if self.model.starts_with("arn:") || plain(&self.model) != self.model {
            return self.model.clone();
        }
        if let Some(known) = self.asked.get() {
            return known;
        }
        // Keys that may not look profiles up may still ask models.
        let known = self.profiles(run).await.unwrap_or_default();
        let candidates = geos_of(&self.runtime.region, self.is_global);
        let mut candidates = candidates.iter().map(|geo| format!("{geo}.{}", self.model));
        let asked = candidates.find(|name| known.contains(name)).unwrap_or_else(|| self.model.clone());
        self.asked.keep(asked.clone(), PROFILE_TIME);
        asked
    }

    /// The region's profiles of this model.
    async fn profiles(&self, run: &Run<'_>) -> Option<Vec<String>> {
        let (mut names, mut next) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let mut query = vec![("maxResults", "100")];
            query.extend(next.as_deref().map(|next| ("nextToken", next)));
            query.push(("type", "SYSTEM_DEFINED"));
            let (headers, body) = (Vec::new(), Bytes::new());
            let request = AwsRequest { method: Method::GET, path: "/inference-profiles", query: &query, headers, body };
            let answer = self.access.send(&self.profiles, request, run).await.ok()?.json().await.ok()?;
            let listed = answer.get("inferenceProfileSummaries").and_then(Value::as_array);
            let of_model = listed.into_iter().flatten().filter_map(|one| one.get("inferenceProfileId")?.as_str());
            names.extend(of_model.filter(|name| name.ends_with(&self.model)).map(str::to_owned));
            next = answer.get("nextToken").and_then(Value::as_str).map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
        Some(names)
    }
}

/// Where profiles for a region may be of, the best first.
fn geos_of(region: &str, is_global: bool) -> Vec<&'static str> {
    let own: &[&str] = match region {
        "ap-northeast-1" | "ap-northeast-3" => &["jp", "apac"],
        "ap-southeast-2" => &["au", "apac"],
        _ if region.starts_with("eu-") => &["eu"],
        _ if region.starts_with("ap-") => &["apac"],
        _ if region.starts_with("ca-") => &["ca", "us"],
        _ if region.starts_with("sa-") => &[],
        _ => &["us"],
    };
    let first = is_global.then_some("global");
    first.into_iter().chain(own.iter().copied()).chain(["global", "us"]).collect()
}
