//! Load on a work of a server, and whether its answers are right: asked with a client of our own
//! before and after, and judged by what the load generator saw meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::contender::Contender;
use super::oha::oha;
use super::server::Server;
use super::work::Work;
use crate::bench::options::Load;
use crate::bench::run::{Run, Size};
use crate::bench::wrk::wrk;
use crate::kit::http::Response;

/// The bodies that all contenders must agree about, by work.
#[derive(Default)]
pub(crate) struct Agreed(BTreeMap<&'static str, Vec<u8>>);

/// A right answer of a contender to a work.
pub(crate) struct Right {
    first: Response,
    size: Size,
}

impl Right {
    /// Asks some times. What is not the same each time is not measured.
    pub(crate) fn find(
        contender: &Contender,
        server: &Server,
        work: &Work,
        agreed: &mut Agreed,
    ) -> Result<Self> {
        let request = contender.request(work);
        let first = server.ask(&request)?;
        is_right(contender, work, &first)?;
        let mut is_alike = !first.is_chunked();
        for _ in 0..3 {
            let next = server.ask(&request)?;
            is_right(contender, work, &next)?;
            ensure!(
                next.body == first.body,
                "its answers are not always the same"
            );
            is_alike &= next.size == first.size;
        }
        if work.answer.is_one_for_all() {
            let body = agreed
                .0
                .entry(work.name)
                .or_insert_with(|| first.body.clone());
            ensure!(
                *body == first.body,
                "it answers {:?}, and another contender {:?}",
                String::from_utf8_lossy(&first.body),
                String::from_utf8_lossy(body)
            );
        }
        let size = if is_alike {
            Size::Wire(first.size as u64)
        } else {
            Size::Body(first.body.len() as u64)
        };
        Ok(Self { first, size })
    }

    /// Asks once more. Called when all runs are over.
    pub(crate) fn check(&self, contender: &Contender, server: &Server, work: &Work) -> Result<()> {
        let last = server.ask(&contender.request(work))?;
        is_right(contender, work, &last)?;
        ensure!(
            last.body == self.first.body,
            "after the runs its answer is another one than before"
        );
        Ok(())
    }

    /// One run of load.
    pub(crate) fn load(
        &self,
        load: Load,
        contender: &Contender,
        server: &Server,
        work: &Work,
        connections: u64,
        time: Duration,
    ) -> Result<Run> {
        let request = contender.request(work);
        let run = match load {
            Load::Wrk => wrk(server.address, &request, &[], self.size, connections, time),
            Load::Oha => {
                let body = self.first.body.len() as u64;
                oha(server.address, &request, body, connections, time)
            }
        };
        run.with_context(|| format!("{} of {}", work.name, contender.name))
    }
}

fn is_right(contender: &Contender, work: &Work, response: &Response) -> Result<()> {
    if contender.is_of_the_user() {
        ensure!(response.status == 200, "the status is {}", response.status);
        return Ok(());
    }
    work.answer.check(response)
}
