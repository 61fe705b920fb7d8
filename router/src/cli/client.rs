//! The REST client that the verbs share. The command line is a client like any other: it can do nothing that the API cannot.

use anyhow::Context;
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Failure, Remote};

pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Client {
    pub(super) fn new(remote: &Remote) -> Result<Self, Failure> {
        let token = match &remote.token_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the token file {}", path.display()))?;
                Some(text.trim().to_owned())
            }
            None => None,
        };
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Client { http, url: remote.url.trim_end_matches('/').to_owned(), token })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends; an answer that is no success is told, problem by problem.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                eprintln!("forebay: no server answers at {} (start one: forebay serve)", self.url);
                return Err(Failure::Told(4));
            }
            Err(error) => return Err(error.into()),
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await?;
        let Ok(problem) = serde_json::from_str::<Value>(&text) else {
            return Err(
                anyhow::anyhow!("{} answered {status}, which is no answer of Forebay's", self.url).into()
            );
        };
        let problems = problem["problems"].as_array().cloned().unwrap_or_default();
        // a single problem is told whole at the top
        if problems.len() != 1 {
            tell_problem(&problem);
        }
        for each in &problems {
            tell_problem(each);
        }
        Err(Failure::Told(if problems.is_empty() { 1 } else { 3 }))
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        Ok(self.send(self.request(Method::GET, path)).await?.json().await?)
    }

    pub(super) async fn get_text(&self, path: &str) -> Result<String, Failure> {
        Ok(self.send(self.request(Method::GET, path)).await?.text().await?)
    }

    pub(super) async fn stream(&self, path: &str) -> Result<Response, Failure> {
        self.send(self.request(Method::GET, path)).await
    }

    /// Posts or puts a JSON body; an empty answer reads as null.
    pub(super) async fn send_json(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
        let text = self.send(self.request(method, path).json(body)).await?.text().await?;
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    /// Posts bytes as they are.
    pub(super) async fn post_bytes(&self, path: &str, kind: &str, bytes: Vec<u8>) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path).header("content-type", kind).body(bytes);
        Ok(self.send(request).await?.json().await?)
    }
}

/// `path: message (suggestion) [code]`, as far as the problem has them.
fn tell_problem(problem: &Value) {
    let text = |name: &str| problem[name].as_str().filter(|t| !t.is_empty());
    let mut line = String::new();
    if let Some(path) = text("path") {
        line += &format!("{path}: ");
    }
    line += text("message").or(text("detail")).or(text("title")).unwrap_or("the server refused");
    if let Some(suggestion) = text("suggestion") {
        line += &format!(" ({suggestion})");
    }
    if let Some(code) = text("code") {
        line += &format!(" [{code}]");
    }
    eprintln!("forebay: {line}");
}
