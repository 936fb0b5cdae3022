//! Starting and stopping the HTTP server.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use actix_http::{Extensions, HttpService, error::DispatchError};
use actix_server::{Server, ServerHandle};

use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    App, HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    dev::AppConfig,
    http::{Method, Version, header},
    web,
};
use secrecy::SecretString;
use tokio::{net::TcpStream, task::AbortHandle};

use super::{
    AdminToken, Service,
    access_log::AccessLog,
    answer::{Answer, common_headers},
    demand::Demand,
    exchange::Exchange,
    listener,
    notifications::Notifications,
    request_body::{Patience, RequestBody},
    routes,
    transport::{Connection, Lane, OutBody, PaceLimit, Receipt},
};
use crate::{
    config,
    events::{Bus, log::Pseudonyms},
    graph::Graph,
    predict::{Predictor, watch::Hints},
    prefetch::Prefetch,
    registry::Registry,
    telemetry::Metrics,
    tiers::Tiers,
};

/// The dispatcher's buffer for what is not sent as a file.
const WRITE_BUFFER: usize = 64 << 10;

/// What a server is made of.
pub struct Settings {
    /// The listener and its limits.
    pub config: config::Server,
    /// The form of the access log.
    pub access: config::AccessLog,
    /// Who answers.
    pub registry: Arc<Registry>,
    /// What the operator may look at.
    pub tiers: Arc<Tiers>,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// What the operator shows.
    pub admin_token: AdminToken,
    /// This instance's name in `Via`: a request that already bears it has come back.
    pub via: String,
    /// Whom requests are told to.
    pub bus: Arc<dyn Bus>,
    /// What hides clients' addresses from them.
    pub pseudonyms: Pseudonyms,
    /// Whether the server can do its work, for `/readyz`. Must not block.
    pub ready: Arc<dyn Fn() -> bool + Send + Sync>,
    /// What is learned from; `None` where nothing is.
    pub graph: Option<Arc<Graph>>,
    /// Who fetches what the operator wants to be here.
    pub prefetch: Arc<Prefetch>,
    /// Who says what is expected, if anybody does.
    pub predictor: Option<Arc<Predictor>>,
    /// What senders of notifications show; nobody is listened to without.
    pub notifications: Option<SecretString>,
    /// Where hints that tags may have moved go.
    pub hints: Hints,
    /// Whether anybody may ask the graph about public repositories.
    pub graph_is_public: bool,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("config", &self.config).field("via", &self.via).finish_non_exhaustive()
    }
}

/// A running HTTP server. Dropping it cuts all connections.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    task: AbortHandle,
}

impl Running {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets answers under way finish for at most `grace`, and cuts the rest.
    pub async fn stop(self, grace: Duration) {
        // Out of time means that the rest is cut, by the drop.
        let _ = tokio::time::timeout(grace, self.handle.stop(true)).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A command to stop would wait behind the one that is being obeyed.
        self.task.abort();
    }
}

/// Starts a server. Must be called within a multi-threaded tokio runtime; clients are served by threads of their own.
///
/// # Errors
/// When the address cannot be listened on, or a thread cannot be started.
pub fn serve(settings: Settings) -> io::Result<Running> {
    let Settings { config, access, registry, tiers, metrics, admin_token, via, bus, pseudonyms, ready, graph, .. } = settings;
    let access_log = AccessLog::start(access, &config.region, &config.customer_header, &metrics, io::stdout())?;
    let customer_header = config.customer_header.clone();
    let patience = Patience { stall: config.read_stall_timeout, min_rate: config.min_read_rate.as_u64() };
    let region = config.region.clone();
    let notifications = Notifications { secret: settings.notifications, hints: settings.hints, bus: bus.clone(), region };
    let demand = Demand::new(bus, &config.region, pseudonyms);
    let service = Arc::new(Service {
        registry,
        tiers,
        metrics,
        customer_header,
        patience,
        admin_token,
        via,
        ready,
        access_log,
        graph,
        prefetch: settings.prefetch,
        predictor: settings.predictor,
        graph_is_public: settings.graph_is_public,
        surveys: Arc::default(),
        demand,
        notifications,
    });
    start(&config, move |request, payload| answer(Arc::clone(&service), request, payload))
}

/// Starts a server that answers with `answer`.
pub(super) fn start<F, R>(config: &config::Server, answer: F) -> io::Result<Running>
where
    F: Fn(HttpRequest, web::Payload) -> R + Clone + Send + 'static,
    R: Future<Output = HttpResponse<OutBody>> + 'static,
{
    let listener = listener::open(config.listen)?;
    let address = listener.local_addr()?;
    let workers = match config.workers {
        0 => std::thread::available_parallelism()?.get(),
        workers => workers,
    }
    .min(512);
    let limit = PaceLimit { stall: config.write_stall_timeout, min_rate: config.min_write_rate.as_u64() };
    let (keep_alive, head_timeout) = (config.keep_alive, config.head_timeout);
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let server = builder
        .workers(workers)
        .max_concurrent_connections(config.max_connections.div_ceil(workers).max(1))
        // `Running::stop` keeps the time: how long may change while running.
        .shutdown_timeout(u64::from(u32::MAX))
        .disable_signals()
        .listen("api", listener, move || {
            let stopping = stopping.clone();
            let app = map_config(App::new().default_service(web::to(answer.clone())), |()| AppConfig::default());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(keep_alive)
                .client_request_timeout(head_timeout)
                .h1_write_buffer_size(WRITE_BUFFER)
                .on_connect_ext(|connection: &Connection, data: &mut Extensions| {
                    data.insert(connection.lane());
                })
                .h1(app);
            fn_service(move |stream: TcpStream| async move {
                // Only a matter of speed: a connection without it works too.
                let _ = stream.set_nodelay(true);
                let peer = stream.peer_addr().ok();
                Ok::<_, DispatchError>((Connection::new(stream, limit), peer))
            })
            .and_then(http)
        })?
        .run();
    let handle = server.handle();
    let task = tokio::runtime::Handle::current().spawn(server).abort_handle();
    Ok(Running { address, handle, task })
}

async fn answer(service: Arc<Service>, request: HttpRequest, payload: web::Payload) -> HttpResponse<OutBody> {
    let line = service.access_log.as_ref().map(|log| log.line(&request));
    let mut exchange = Exchange::new(Arc::clone(&service.metrics), line);
    let mut body = RequestBody::new(&request, payload, service.patience);
    let answer = routes::answer(&service, &request, &mut body, &mut exchange).await;
    respond(&request, answer, exchange)
}

fn respond(request: &HttpRequest, mut answer: Answer, mut exchange: Exchange) -> HttpResponse<OutBody> {
    exchange.note_answer(answer.status.as_u16(), answer.cache, answer.about, answer.error.take());
    let lane = request.conn_data::<Lane>().cloned().unwrap_or_default();
    let receipt = Some(Box::new(exchange) as Box<dyn Receipt>);
    let body = if *request.method() == Method::HEAD {
        OutBody::head(answer.length, lane, receipt)
    } else {
        OutBody::new(answer.body, answer.length, lane, receipt)
    };
    let streamed_length = if body.size() == BodySize::Stream { answer.length } else { None };
    let mut response = HttpResponse::with_body(answer.status, body);
    let headers = response.headers_mut();
    for (name, value) in common_headers(answer.cache).into_iter().chain(answer.headers) {
        headers.append(name, value);
    }
    if let Some(length) = streamed_length {
        headers.insert(header::CONTENT_LENGTH, length.into());
        response.head_mut().no_chunking(true);
    } else if answer.length.is_none() && request.version() < Version::HTTP_11 {
        // Such a client does not know chunks: the end of the connection is the end of the body.
        response.head_mut().no_chunking(true);
        answer.close = true;
    }
    if answer.close {
        response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
    }
    response
}
