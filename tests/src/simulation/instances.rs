//! Several instances of each function.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use http::Request;
use local::stack::Stack;
use tokio::task::AbortHandle;

use super::invocation::Invocation;
use super::network::Network;
use super::schedule::INSTANCES;
use crate::client::Answer;
use crate::world::World;

/// The timeout of badge-api.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Instances {
    network: Network,
    running: Vec<Mutex<Instance>>,
}

#[derive(Debug)]
struct Instance {
    stack: Arc<Stack>,
    invocations: Vec<AbortHandle>,
}

/// How an invocation ended.
#[derive(Debug)]
pub(super) enum InvocationOutcome<T> {
    Returned(T),
    /// Killed, or timed out.
    Killed,
}

impl Instances {
    pub(super) fn new(world: &World, network: &Network) -> Self {
        let running = (0..INSTANCES).map(|_| Mutex::new(Instance::start(world, network))).collect();
        Self { network: network.clone(), running }
    }

    /// Kills all invocations of an instance, and replaces it with one that has empty memory.
    pub(super) fn restart(&self, instance: usize, world: &World) {
        let new = Instance::start(world, &self.network);
        let old = std::mem::replace(&mut *self.running[instance].lock().unwrap(), new);
        old.invocations.iter().for_each(AbortHandle::abort);
    }

    /// Requests a path from badge-api.
    pub(super) async fn get(
        &self,
        instance: usize,
        invocation: &Arc<Invocation>,
        path: String,
    ) -> InvocationOutcome<Answer> {
        let request = Request::get(path).body(Bytes::new()).unwrap();
        self.request(instance, invocation, READ_TIMEOUT, request).await
    }

    /// Sends a request to the function that it is for.
    pub(super) async fn request(
        &self,
        instance: usize,
        invocation: &Arc<Invocation>,
        timeout: Duration,
        request: Request<Bytes>,
    ) -> InvocationOutcome<Answer> {
        let answered = self.invoke(instance, invocation, timeout, |stack| async move {
            Answer::from(stack.gateway.answer(request).await)
        });
        answered.await
    }

    /// Invokes a function. It continues if the caller stops waiting.
    pub(super) async fn invoke<T, F>(
        &self,
        instance: usize,
        invocation: &Arc<Invocation>,
        timeout: Duration,
        function: impl FnOnce(Arc<Stack>) -> F,
    ) -> InvocationOutcome<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let task = {
            let mut instance = self.running[instance].lock().unwrap();
            let function = function(Arc::clone(&instance.stack));
            let invocation = Arc::clone(invocation);
            let task = tokio::spawn(async move { invocation.run(timeout, function).await });
            instance.invocations.retain(|invocation| !invocation.is_finished());
            instance.invocations.push(task.abort_handle());
            task
        };
        match task.await {
            Ok(Some(output)) => InvocationOutcome::Returned(output),
            // An error means that the instance was restarted, or that the function panicked, which `run` counts.
            Ok(None) | Err(_) => InvocationOutcome::Killed,
        }
    }
}

impl Instance {
    fn start(world: &World, network: &Network) -> Self {
        let stack = world.instance_behind(SharedHttpClient::new(network.clone()));
        Self { stack: Arc::new(stack), invocations: Vec::new() }
    }
}
