//! GOV.UK: whether what is deployed to one environment is promoted to another one within an hour.

mod bursts;
mod context;
mod tags;

use std::collections::{BTreeMap, HashMap, VecDeque};

use bursts::Burst;
use context::{Context, FOLLOWED, PROMOTED};
use harbinger::predict::learn::Stream;
use tags::{class, step};

use crate::{
    features::{DAY, Ewma, HOUR, MINUTE, Row, bucket, london, weekday},
    groups::Groups,
};

/// An environment's tag of an app moves.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub(crate) at: u64,
    pub(crate) environment: Environment,
    pub(crate) app: u32,
    pub(crate) from: String,
    pub(crate) to: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Environment {
    Integration,
    Staging,
    Production,
}

/// A release of an app that was put into the environment that is asked about.
#[derive(Debug, Clone)]
struct Release {
    at: u64,
    tag: String,
    staged: Option<u64>,
    promoted: Option<u64>,
}

/// What is known of an app.
#[derive(Debug)]
struct App {
    /// By environment: its tag, and when it was put there.
    tags: [(String, u64); 3],
    rate: Ewma,
    /// The last releases, the newest last.
    releases: VecDeque<Release>,
    /// Logarithm of the seconds until a release is promoted.
    lag: f32,
    moves_today: VecDeque<u64>,
    /// Releases since the last one that was promoted.
    unpromoted: u32,
    burst: Burst,
    /// Versions of today, and of what day; versions of a day that has any, smoothed; moves likewise.
    today: (u64, u32, u32),
    daily: (f32, f32),
    /// Versions and moves of a burst in the morning, smoothed.
    usual: (f32, f32),
}

/// A release that is followed sooner than this is passed over.
const SOON: u64 = 5 * MINUTE;

/// The history so far.
pub(crate) struct Promotions {
    pub(crate) from: Environment,
    pub(crate) to: Environment,
    apps: BTreeMap<u32, App>,
    /// Releases of all apps in the last hour: when, of which app, and when promoted and staged.
    recent: VecDeque<(u64, u32, String)>,
    moves: [VecDeque<u64>; 3],
    all: Ewma,
    promoted: Groups<Context>,
    followed: Groups<Context>,
    /// What was asked and is not answered yet.
    open: HashMap<(u32, String), Vec<Context>>,
    /// Releases whose successor may come within minutes: when, and whether it came.
    fresh: VecDeque<(u64, Context, bool)>,
}

const GAPS: &[u64] = &[
    2 * MINUTE,
    4 * MINUTE,
    6 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    12 * HOUR,
    DAY,
    3 * DAY,
    7 * DAY,
];

impl Promotions {
    pub(crate) fn new(from: Environment, to: Environment) -> Self {
        Self {
            from,
            to,
            apps: BTreeMap::new(),
            recent: VecDeque::new(),
            moves: Default::default(),
            all: Ewma::new(0.6),
            promoted: Groups::new(PROMOTED, 0.6),
            followed: Groups::new(FOLLOWED, 0.3),
            open: HashMap::new(),
            fresh: VecDeque::new(),
        }
    }

    /// What the features are called.
    pub(crate) fn names(&self, moved: &Move) -> Vec<String> {
        self.row(moved).names
    }

    fn context(&self, moved: &Move) -> Context {
        let local = london(moved.at);
        let app = self.apps.get(&moved.app);
        let destination = app.map_or("", |app| &app.tags[self.to as usize].0);
        let sync = match destination {
            "" => 0,
            tag if tag == moved.to => 1,
            tag if tag == moved.from => 2,
            _ => 3,
        };
        let last = app.and_then(|app| app.releases.back());
        let gap = last.map_or(u64::MAX, |last| moved.at - last.at);
        let pending = last.map_or(0, |last| match (last.promoted, last.staged) {
            (Some(_), _) => 1,
            (None, Some(_)) => 2,
            (None, None) => 3,
        });
        let busy = self.recent.iter().filter(|(at, app, _)| *at + 5 * MINUTE >= moved.at && *app != moved.app).count();
        let burst = app.map_or_else(Burst::default, |app| app.burst.with(moved));
        let usual = app.map_or(1.0, |app| app.usual.0);
        let minute = moved.at % DAY / MINUTE;
        let slot = if (8 * 60 + 20..10 * 60).contains(&minute) { 24 + (minute - 500) / 5 } else { minute / 60 } as u8;
        Context {
            burst: burst.moves.min(6) as u8,
            slot,
            missing: burst.missing(),
            versions: bucket(burst.versions.into(), &[2, 3, 4, 5, 7, 10]),
            left: (4.0 * (burst.versions as f32).ln() - 4.0 * usual.max(1.0).ln() + 8.0).clamp(0.0, 16.0) as u8,
            app: moved.app,
            class: class(&moved.to),
            sync,
            gap: bucket(gap, GAPS),
            step: step(&moved.from, &moved.to),
            hour: (local % DAY / HOUR) as u8,
            weekday: weekday(local) as u8,
            pending,
            busy: bucket(busy as u64, &[1, 2, 3, 5, 8, 13]),
        }
    }

    fn row(&self, moved: &Move) -> Row {
        let now = moved.at;
        let c = self.context(moved);
        let mut row = Row::default();
        let app = self.apps.get(&moved.app);
        let all = self.promoted.rates(&c, now)[0];
        let rate = app.map_or(Ewma::new(all), |app| app.rate);
        row.rate("app, fast", rate.fast);
        row.rate("app, slow", rate.slow);
        row.put("app, last outcome", rate.last);
        row.log("app, answers", rate.count.into(), 1.0);
        row.rate("all, fast", self.all.fast);
        row.rate("all, slow", self.all.slow);
        self.promoted.put(&mut row, &c, now);
        row.one_hot("class", c.class as usize, 4);
        row.one_hot("sync", c.sync as usize, 4);
        row.one_hot("step", c.step as usize, 7);
        row.one_hot("pending", c.pending as usize, 4);
        row.one_hot("gap", c.gap as usize, GAPS.len() + 1);
        row.clock(london(now));

        let last = |environment: usize| app.map_or(0, |app| app.tags[environment].1);
        for (environment, name) in ["integration", "staging", "production"].into_iter().enumerate() {
            row.log(&format!("since {name}"), (now - last(environment)).min(60 * DAY) as f64, 60.0);
            row.flag(&format!("{name} has it"), app.is_some_and(|app| app.tags[environment].0 == moved.to));
            row.flag(&format!("{name} had the one before"), app.is_some_and(|app| app.tags[environment].0 == moved.from));
            for minutes in [5, 15, 60, 240] {
                let moves = self.moves[environment].iter().rev().take_while(|at| **at + minutes * MINUTE >= now).count();
                row.log(&format!("{name} moves in {minutes} minutes"), moves as f64, 1.0);
            }
            let any = self.moves[environment].back().map_or(DAY, |at| now - at).min(DAY);
            row.log(&format!("since any {name}"), any as f64, 60.0);
        }
        row.put("lag", app.map_or(6.2, |app| app.lag) / 6.0 - 1.0);
        let own_moves = |span: u64| app.map_or(0, |app| app.moves_today.iter().filter(|at| **at + span >= now).count());
        row.log("moves of the app today", own_moves(DAY) as f64, 1.0);
        row.log("moves of the app in an hour", own_moves(HOUR) as f64, 1.0);
        row.log("unpromoted", app.map_or(0, |app| app.unpromoted).into(), 1.0);
        // Of what all apps released ten minutes to an hour ago, how much has come through by now?
        let (mut through, mut staged, mut known) = (0.0, 0.0, 0.0);
        for (at, other, tag) in self.recent.iter().filter(|(at, ..)| *at + 10 * MINUTE <= now) {
            let found = self.apps.get(other).and_then(|app| app.releases.iter().rev().find(|r| r.tag == *tag && r.at == *at));
            if let Some(found) = found {
                known += 1.0;
                through += f32::from(u8::from(found.promoted.is_some()));
                staged += f32::from(u8::from(found.staged.is_some()));
            }
        }
        row.rate("came through of late", (through + 3.0 * all) / (known + 3.0));
        row.rate("was staged of late", (staged + 3.0 * all) / (known + 3.0));
        let busy = self.recent.iter().filter(|(at, other, _)| *at + 10 * MINUTE >= now && *other != c.app).count();
        row.log("apps busy", busy as f64, 1.0);
        let release = app.and_then(|app| app.releases.back());
        let pending = release.filter(|release| release.promoted.is_none());
        let age = pending.map_or(0, |release| (now - release.at).min(DAY));
        row.log("age of what is pending", age as f64, 60.0);
        row.flag("pending is fresh", pending.is_some() && age < 8 * MINUTE);
        row.flag("pending is overdue", pending.is_some() && age > 15 * MINUTE);
        self.soon(&mut row, c, moved);
        row
    }

    /// Whether the next release of the app comes so soon that this one is passed over.
    fn soon(&self, row: &mut Row, c: Context, moved: &Move) {
        let now = moved.at;
        self.followed.put(row, &c, now);
        row.one_hot("missing", c.missing as usize, 6);
        let app = self.apps.get(&c.app);
        let burst = app.map_or_else(Burst::default, |app| app.burst.with(moved));
        row.log("burst moves", burst.moves.into(), 1.0);
        row.log("burst versions", burst.versions.into(), 1.0);
        row.log("burst age", (now - burst.begin) as f64, 60.0);
        row.log("usual versions", app.map_or(1.0, |app| app.usual.0).into(), 1.0);
        row.log("usual moves", app.map_or(1.0, |app| app.usual.1).into(), 1.0);
        let so_far = (burst.versions as f32 + 1.0).ln();
        row.put("versions against usual", so_far - app.map_or(1.0, |app| app.usual.0).ln_1p());
        row.put("moves against usual", (burst.moves as f32 + 1.0).ln() - app.map_or(1.0, |app| app.usual.1).ln_1p());
        // What other apps have done today: the same dependencies are raised in all of them.
        let day = now / DAY;
        let counted = app.filter(|app| app.today.0 == day).map_or(0, |app| app.today.1);
        let own_today = counted + burst.versions - if burst.moves > 1 { app.map_or(0, |app| app.burst.versions) } else { 0 };
        let own_today = (own_today as f32).max(1.0);
        let own_usual = app.map_or(1.0, |app| app.daily.0).max(1.0);
        let (mut apps, mut versions, mut more, mut relative, mut running) = (0.0, 0.0_f32, 0.0, 0.0, 0.0);
        for (other, app) in &self.apps {
            if *other == c.app || app.today.0 != day || app.today.1 == 0 {
                continue;
            }
            let done = app.burst.last + 6 * MINUTE < now;
            running += f32::from(u8::from(!done));
            if done {
                apps += 1.0;
                versions += app.today.1 as f32;
                more += f32::from(u8::from(app.today.1 as f32 > own_today));
                relative += (app.today.1 as f32 / app.daily.0.max(1.0)).ln();
            }
        }
        row.log("apps done today", apps.into(), 1.0);
        row.log("apps running", running.into(), 1.0);
        row.put("share of apps with more versions", (more + 1.0) / (apps + 2.0));
        row.put("versions of others", ((versions + 3.0) / (apps + 1.0)).ln());
        row.put("day against usual", relative / (apps + 2.0));
        row.put("own against others", own_today.ln() - ((versions + 3.0) / (apps + 1.0)).ln());
        row.put("own today against usual", (own_today / own_usual).ln());
        row.put("own against the day", (own_today / own_usual).ln() - relative / (apps + 2.0));
        row.one_hot("slot", c.slot as usize, 44);
    }

    /// Takes in a release as one that may be followed by another one soon, and what became of those before it.
    fn note(&mut self, moved: &Move) {
        let now = moved.at;
        while let Some((at, context, came)) = self.fresh.pop_front_if(|(at, ..)| *at + SOON < now) {
            if !came {
                self.followed.add(&context, at + SOON, false);
            }
        }
        for (_, context, came) in self.fresh.iter_mut().filter(|(_, context, _)| context.app == moved.app) {
            if !std::mem::replace(came, true) {
                self.followed.add(context, now, true);
            }
        }
    }
}

impl Stream for Promotions {
    type Event = Move;
    type Key = (u32, String);

    fn horizon(&self) -> u64 {
        HOUR
    }

    fn time(event: &Move) -> u64 {
        event.at
    }

    fn questions(&self, event: &Move, ask: &mut dyn FnMut(Self::Key, Box<[f32]>)) {
        if event.environment == self.from {
            ask((event.app, event.to.clone()), self.row(event).values.into());
        }
    }

    fn answers(&self, event: &Move) -> Option<Self::Key> {
        (event.environment == self.to).then(|| (event.app, event.to.clone()))
    }

    fn take_in(&mut self, event: &Move) {
        if event.environment == self.from {
            let context = self.context(event);
            self.open.entry((event.app, event.to.clone())).or_default().push(context);
            self.note(event);
            self.fresh.push_back((event.at, context, false));
        }
        let now = event.at;
        while self.recent.front().is_some_and(|(at, ..)| *at + HOUR < now) {
            self.recent.pop_front();
        }
        let moves = &mut self.moves[event.environment as usize];
        moves.push_back(now);
        while moves.front().is_some_and(|at| *at + 4 * HOUR < now) {
            moves.pop_front();
        }
        let all = self.all.slow;
        let app = self.apps.entry(event.app).or_insert_with(|| App {
            tags: Default::default(),
            rate: Ewma::new(all),
            releases: VecDeque::new(),
            lag: 6.2,
            moves_today: VecDeque::new(),
            unpromoted: 0,
            burst: Burst::default(),
            today: (0, 0, 0),
            daily: (1.0, 1.0),
            usual: (1.0, 1.0),
        });
        if event.environment == self.from {
            self.recent.push_back((now, event.app, event.to.clone()));
            app.releases.push_back(Release { at: now, tag: event.to.clone(), staged: None, promoted: None });
            if app.releases.len() > 20 {
                app.releases.pop_front();
            }
            app.moves_today.push_back(now);
            while app.moves_today.front().is_some_and(|at| *at + DAY < now) {
                app.moves_today.pop_front();
            }
            app.unpromoted += 1;
            let before = app.burst;
            app.burst = before.with(event);
            if app.burst.moves == 1 && before.moves > 0 {
                app.usual.0 += 0.15 * (before.versions as f32 - app.usual.0);
                app.usual.1 += 0.15 * (before.moves as f32 - app.usual.1);
            }
            if app.today.0 != now / DAY {
                if app.today.1 > 0 {
                    app.daily.0 += 0.15 * (app.today.1 as f32 - app.daily.0);
                    app.daily.1 += 0.15 * (app.today.2 as f32 - app.daily.1);
                }
                app.today = (now / DAY, 0, 0);
            }
            app.today.1 += app.burst.versions - if app.burst.moves == 1 { 0 } else { before.versions };
            app.today.2 += 1;
        }
        if event.environment == Environment::Staging
            && let Some(release) = app.releases.iter_mut().rev().find(|release| release.tag == event.to)
        {
            release.staged.get_or_insert(now);
        }
        if event.environment == self.to {
            app.unpromoted = 0;
            if let Some(release) = app.releases.iter_mut().rev().find(|release| release.tag == event.to) {
                release.promoted.get_or_insert(now);
                let lag = ((now - release.at) as f32).max(1.0).ln();
                app.lag += 0.2 * (lag - app.lag);
            }
        }
        app.tags[event.environment as usize] = (event.to.clone(), now);
    }

    fn learn(&mut self, key: &Self::Key, _row: &[f32], _asked: u64, came_true: bool, now: u64) {
        self.all.add(came_true);
        if let Some(app) = self.apps.get_mut(&key.0) {
            app.rate.add(came_true);
        }
        let Some(open) = self.open.get_mut(key) else { return };
        let context = open.remove(0);
        if open.is_empty() {
            self.open.remove(key);
        }
        self.promoted.add(&context, now, came_true);
    }
}
