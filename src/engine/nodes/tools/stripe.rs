//! The node `stripeAgentTool`: what a model may do at Stripe.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::arguments::parameters;
use super::fitted::{MissingWords, fitted};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::provider::{ProviderCall, ProviderEndpoint};
use crate::engine::text::header::secret_header;
use crate::engine::text::javascript;
use crate::engine::text::percent::{STEP, component, pairs, steps};
use crate::wire::json;

const ORIGIN: &str = "https://api.stripe.com";
/// As Flowise's library of it asks.
const VERSION: &str = "2025-02-24.acacia";
const PATIENCE: Duration = Duration::from_secs(80);
/// What models are told of each action, as Flowise tells it.
const SPECS: &str = include_str!("stripe.json");

/// One of the things that a model may do.
struct StripeAction {
    /// As models call it.
    name: &'static str,
    /// The input, and what it must hold.
    allowed: (&'static str, &'static str),
    is_post: bool,
    /// With the id that an argument names.
    path: (&'static str, Option<&'static str>),
    /// Before the names of what is sent.
    within: Option<&'static str>,
    /// The fields that a model is told, by the names that it knows; none: all.
    told: &'static [(&'static str, &'static str)],
    /// What it could not do.
    failed: &'static str,
}

const POST: bool = true;
const GET: bool = false;
const ID: &[(&str, &str)] = &[("id", "id")];
const INVOICE: &[(&str, &str)] =
    &[("id", "id"), ("url", "hosted_invoice_url"), ("customer", "customer"), ("status", "status")];

impl StripeAction {
    const fn new(
        name: &'static str,
        allowed: (&'static str, &'static str),
        is_post: bool,
        path: &'static str,
        failed: &'static str,
    ) -> Self {
        Self { name, allowed, is_post, path: (path, None), within: None, told: &[], failed }
    }

    /// Whether a list is asked for, and not told as it is.
    fn lists(&self) -> bool {
        self.name.starts_with("list_")
    }
}

static ACTIONS: [StripeAction; 11] = [
    StripeAction {
        told: ID,
        ..StripeAction::new("create_customer", ("customers", "create"), POST, "/v1/customers", "create customer")
    },
    StripeAction {
        told: ID,
        ..StripeAction::new("list_customers", ("customers", "read"), GET, "/v1/customers", "list customers")
    },
    StripeAction::new("create_product", ("products", "create"), POST, "/v1/products", "create product"),
    StripeAction::new("list_products", ("products", "read"), GET, "/v1/products", "list products"),
    StripeAction::new("create_price", ("prices", "create"), POST, "/v1/prices", "create price"),
    StripeAction::new("list_prices", ("prices", "read"), GET, "/v1/prices", "list prices"),
    StripeAction {
        within: Some("line_items[0]"),
        told: &[("id", "id"), ("url", "url")],
        ..StripeAction::new(
            "create_payment_link",
            ("paymentLinks", "create"),
            POST,
            "/v1/payment_links",
            "create payment link",
        )
    },
    StripeAction {
        told: INVOICE,
        ..StripeAction::new("create_invoice", ("invoices", "create"), POST, "/v1/invoices", "create invoice")
    },
    StripeAction {
        told: &[("id", "id"), ("invoice", "invoice")],
        ..StripeAction::new(
            "create_invoice_item",
            ("invoiceItems", "create"),
            POST,
            "/v1/invoiceitems",
            "create invoice item",
        )
    },
    StripeAction {
        path: ("/v1/invoices/{}/finalize", Some("invoice")),
        told: INVOICE,
        ..StripeAction::new("finalize_invoice", ("invoices", "update"), POST, "", "finalize invoice")
    },
    StripeAction::new("retrieve_balance", ("balance", "read"), GET, "/v1/balance", "retrieve balance"),
];

/// See the module.
pub(super) struct StripeAgent;

impl NodeKind for StripeAgent {
    fn names(&self) -> &'static [&'static str] {
        &["stripeAgentTool"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let mut listed = |input: &str| -> Vec<String> {
            match inputs.value(input) {
                Some(Value::String(text)) => json::read_str(&text).unwrap_or_default(),
                value => value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default(),
            }
        };
        let is_allowed = |action: &&StripeAction| {
            let (input, permission) = action.allowed;
            listed(input).iter().any(|allowed| allowed == permission)
        };
        let allowed: Vec<&StripeAction> = ACTIONS.iter().filter(is_allowed).collect();
        // Where nobody does anything of that kind.
        inputs.ignore(&["paymentLinks", "products", "prices", "balance", "invoiceItems", "invoices", "customers"]);
        let key = inputs.credential("stripeApi", "stripeApiToken");
        let endpoint = inputs.compiler.context.targets.outward(ORIGIN, Some(PATIENCE));
        let endpoint = endpoint.map_err(|error| inputs.compiler.of_node(inputs.node, None, error)).ok()?;
        Some(Part::tools(tools(&allowed, &endpoint, key.as_ref())))
    }
}

fn tools(allowed: &[&'static StripeAction], endpoint: &ProviderEndpoint, key: Option<&Secret>) -> Vec<Arc<dyn Tool>> {
    let specs: Map<String, Value> = serde_json::from_str(SPECS).unwrap_or_default();
    let tool = |action: &&'static StripeAction| {
        let told = specs.get(action.name)?;
        let required = told.get("required").and_then(Value::as_array).into_iter().flatten();
        let required: Vec<&str> = required.filter_map(Value::as_str).collect();
        let spec = ToolSpec {
            name: action.name.to_owned(),
            description: told.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
            parameters: parameters(told.get("properties").unwrap_or(&Value::Null), &required),
        };
        let (endpoint, key) = (endpoint.clone(), key.cloned());
        Some(Arc::new(StripeTool { spec, action, endpoint, key }) as Arc<dyn Tool>)
    };
    allowed.iter().filter_map(tool).collect()
}

struct StripeTool {
    spec: ToolSpec,
    action: &'static StripeAction,
    endpoint: ProviderEndpoint,
    key: Option<Secret>,
}

impl fmt::Debug for StripeTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action.name)
    }
}

impl Tool for StripeTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let given = fitted(arguments, &self.spec.parameters, MissingWords::Plainly).map_err(Failure::flow)?;
            let told = match self.asked(&given, run).await {
                Ok(Some(answer)) => self.told(answer),
                Err(failure) if failure.ends_run() => return Err(failure),
                Ok(None) | Err(_) => format!("Failed to {}", self.action.failed).into(),
            };
            Ok(ToolResult { text: javascript::json(&told), ..ToolResult::default() })
        })
    }
}

impl StripeTool {
    /// The answer; `None`: Stripe says no, or gives none.
    async fn asked(&self, given: &Value, run: &Run<'_>) -> Result<Option<Value>, Failure> {
        let action = self.action;
        let given = given.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let (mut path, mut form) = (action.path.0.to_owned(), Vec::new());
        for (name, value) in given {
            let value = javascript::shown(value);
            if action.path.1 == Some(name) {
                let id = component(&value);
                if steps(&id) {
                    return Err(Failure::flow(STEP));
                }
                path = path.replace("{}", &id);
            } else {
                form.push((action.within.map_or_else(|| name.clone(), |within| format!("{within}[{name}]")), value));
            }
        }
        let mut headers = vec![
            (AUTHORIZATION, self.proof().map_err(Failure::flow)?),
            (HeaderName::from_static("stripe-version"), HeaderValue::from_static(VERSION)),
        ];
        let mut body = String::new();
        if action.is_post {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")));
            body = pairs(&form);
        } else if !form.is_empty() {
            path = format!("{path}?{}", pairs(&form));
        }
        let method = if action.is_post { Method::POST } else { Method::GET };
        let call = ProviderCall { method, path: &path, headers: &headers, body: body.into() };
        let answer = self.endpoint.fetch(call, run).await?;
        let is_answer = answer.status == StatusCode::OK;
        Ok(json::read_answer(&answer.body).ok().filter(|_| is_answer))
    }

    fn proof(&self) -> Result<HeaderValue, String> {
        secret_header(&format!("Bearer {}", self.key.as_ref().map(Secret::expose).unwrap_or_default()))
    }

    fn told(&self, mut answer: Value) -> Value {
        let picked = |item: &Value| {
            let field = |(known, name): &(&str, &str)| Some(((*known).to_owned(), item.get(*name)?.clone()));
            Value::Object(self.action.told.iter().filter_map(field).collect())
        };
        match (self.action.lists(), self.action.told.is_empty()) {
            (false, true) => answer,
            (false, false) => picked(&answer),
            (true, all) => {
                let items = answer.get_mut("data").map_or(json!([]), Value::take);
                if all { items } else { items.as_array().into_iter().flatten().map(picked).collect() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::mcp::lab::{response, server};
    use crate::engine::provider::Targets;
    use crate::engine::testing::within;
    use crate::telemetry::metrics::Metrics;

    /// Calls one, with Stripe's answer; what was asked, and what a model is told.
    fn called(name: &str, arguments: &Value, status: &'static str, answer: &'static str) -> (String, String, String) {
        let (origin, hearing) = server(move |_| response(status, "content-type: application/json\r\n", answer));
        let endpoint = Targets::alone("local", &Metrics::new().unwrap()).endpoint(&origin, None).unwrap();
        let all: Vec<&StripeAction> = ACTIONS.iter().collect();
        let tools = tools(&all, &endpoint, Some(&Secret::new("sk_1".to_owned())));
        assert_eq!(tools.len(), 11);
        let tool = tools.iter().find(|tool| tool.spec().name == name).unwrap();
        let text = within(&json!({ "question": "q" }), async |run| tool.call(arguments, run).await.unwrap().text);
        let heard = hearing.try_iter().next().unwrap();
        assert!(
            heard.head.contains("\r\nauthorization: bearer sk_1\r\nstripe-version: 2025-02-24.acacia"),
            "{}",
            heard.head
        );
        (heard.line, heard.text, text)
    }

    /// Expected: what Flowise 3.1.4 asks and tells.
    #[test]
    fn stripe_is_asked_and_told_as_flowise_does_it() {
        let of = |line: &str, form: &str, text: &str| (line.to_owned(), form.to_owned(), text.to_owned());
        let customer = called(
            "create_customer",
            &json!({ "name": "A & B", "email": null }),
            "200 OK",
            "{\"id\":\"cus_1\",\"object\":\"customer\"}",
        );
        assert_eq!(customer, of("POST /v1/customers", "name=A+%26+B", "{\"id\":\"cus_1\"}"));
        let list = "{\"object\":\"list\",\"data\":[{\"id\":\"cus_1\",\"x\":1},{\"id\":\"cus_2\"}]}";
        let customers = called("list_customers", &json!({ "limit": 2 }), "200 OK", list);
        assert_eq!(customers, of("GET /v1/customers?limit=2", "", "[{\"id\":\"cus_1\"},{\"id\":\"cus_2\"}]"));
        let link = called(
            "create_payment_link",
            &json!({ "price": "price_1", "quantity": 2 }),
            "200 OK",
            "{\"id\":\"plink_1\",\"url\":\"https://buy.example\",\"active\":true}",
        );
        let form = "line_items%5B0%5D%5Bprice%5D=price_1&line_items%5B0%5D%5Bquantity%5D=2";
        let told = "{\"id\":\"plink_1\",\"url\":\"https://buy.example\"}";
        assert_eq!(link, of("POST /v1/payment_links", form, told));
        let invoice = "{\"id\":\"in_1\",\"hosted_invoice_url\":null,\"customer\":\"cus_1\",\"status\":\"open\"}";
        let told = "{\"id\":\"in_1\",\"url\":null,\"customer\":\"cus_1\",\"status\":\"open\"}";
        let finalized = called("finalize_invoice", &json!({ "invoice": "in_1/.." }), "200 OK", invoice);
        assert_eq!(finalized, of("POST /v1/invoices/in_1%2F../finalize", "", told));
        let products = called("list_products", &json!({}), "200 OK", "{\"data\":[{\"id\":\"prod_1\",\"n\":1}]}");
        assert_eq!(products, of("GET /v1/products", "", "[{\"id\":\"prod_1\",\"n\":1}]"));
        let refused = called("retrieve_balance", &json!({}), "401 Unauthorized", "{\"error\":{\"message\":\"sk_1\"}}");
        assert_eq!(refused, of("GET /v1/balance", "", "\"Failed to retrieve balance\""));
    }
}
