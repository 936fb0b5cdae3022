//! A trace in memory.

use std::sync::Arc;

use crate::{
    events::{Event, Millis},
    predict::{Numbering, World},
};

pub use crate::predict::{Content, ContentId, Image, Name, Step, What};

/// What happened, in order of time.
#[derive(Debug, Default)]
pub struct Workload {
    /// In order of time.
    pub steps: Vec<Step>,
    /// All layers that were asked for or named, and all images whose layers are known.
    pub world: World,
    /// The regions.
    pub regions: Vec<Arc<str>>,
    /// From when on requests are counted.
    pub counted_from: Millis,
}

/// Why a trace cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// Nobody asked for anything.
    #[error("there is no request for a layer in the trace")]
    Empty,
    /// Nobody in that region did.
    #[error("there is no request in the region '{0}'; there are some in: {1}")]
    Region(String, String),
}

/// Puts a workload together, event by event.
#[derive(Debug, Default)]
pub struct Reader {
    steps: Vec<Step>,
    numbering: Numbering,
}

impl Reader {
    /// Takes the next event. What a cache does not learn from is left out.
    pub fn take(&mut self, event: &Event) {
        self.steps.extend(self.numbering.take(event));
    }

    /// The times of the first and the last event.
    pub fn span(&self) -> (Millis, Millis) {
        let times = self.steps.iter().map(|step| step.at);
        (times.clone().min().unwrap_or(0), times.max().unwrap_or(0))
    }

    /// The whole workload. Requests count from `counted_from` on.
    ///
    /// # Errors
    /// When there is no request for a layer.
    pub fn finish(self, counted_from: Millis) -> Result<Workload, WorkloadError> {
        let Self { mut steps, numbering: Numbering { world, regions, .. } } = self;
        if !steps.iter().any(|step| matches!(step.what, What::Layer { .. })) {
            return Err(WorkloadError::Empty);
        }
        // Several logs may overlap.
        steps.sort_by_key(|step| step.at);
        Ok(Workload { steps, world, regions, counted_from })
    }
}

impl Workload {
    /// The number of a region.
    ///
    /// # Errors
    /// When nothing happened there.
    pub fn region(&self, name: &str) -> Result<u16, WorkloadError> {
        let place = self.regions.iter().position(|region| &**region == name);
        place
            .and_then(|place| u16::try_from(place).ok())
            .ok_or_else(|| WorkloadError::Region(name.to_owned(), self.regions.join(", ")))
    }

    /// The region with most requests for layers.
    pub fn busiest_region(&self) -> u16 {
        let mut requests = vec![0_u64; self.regions.len()];
        for step in &self.steps {
            if let What::Layer { region, .. } = step.what {
                requests[usize::from(region)] += 1;
            }
        }
        let busiest = (0..self.regions.len()).max_by_key(|region| (requests[*region], std::cmp::Reverse(*region)));
        busiest.map_or(0, |region| region as u16)
    }

    /// Bytes of all layers that are asked for in a region: what a cache that holds everything would hold.
    pub fn footprint(&self, region: u16) -> u64 {
        let mut seen = vec![false; self.world.contents.len()];
        let mut bytes = 0;
        for step in &self.steps {
            if let What::Layer { region: place, content, .. } = step.what
                && place == region
                && !std::mem::replace(&mut seen[content as usize], true)
            {
                bytes += self.world.contents[content as usize].size;
            }
        }
        bytes
    }
}
