//! In which order all is run: round by round, so that a change of the machine's mood hits all scenarios
//! and servers alike.

use anyhow::{Context, Result};

use crate::kit::programs::Program;

/// What has a name that `--only` can ask for.
pub(crate) trait Named {
    fn name(&self) -> &'static str;
}

/// All rounds of a scenario against one server.
pub(crate) struct Rounds<'a, S, R> {
    pub(crate) scenario: &'a S,
    pub(crate) server: &'static str,
    /// The options that the server ran with.
    pub(crate) ran_with: String,
    pub(crate) rounds: Vec<R>,
}

/// Runs `one` for each scenario that is asked for, against each program that it is for.
pub(crate) fn run<'a, S: Named, R>(
    rounds: usize,
    scenarios: &'a [S],
    programs: &[Program],
    only: &[String],
    is_for: impl Fn(&S, &Program) -> bool,
    one: impl Fn(&Program, &S) -> Result<(R, String)>,
) -> Result<Vec<Rounds<'a, S, R>>> {
    let mut all: Vec<Rounds<'a, S, R>> = Vec::new();
    for number in 1..=rounds {
        for scenario in scenarios {
            let name = scenario.name();
            if !only.is_empty() && !only.iter().any(|asked| asked == name) {
                continue;
            }
            for program in programs {
                if !is_for(scenario, program) {
                    continue;
                }
                let server = program.family.name();
                eprintln!("== round {number}: {name}: {server}");
                let (round, ran_with) =
                    one(program, scenario).with_context(|| format!("{name} against {server}"))?;
                let before = all
                    .iter_mut()
                    .find(|rounds| rounds.server == server && rounds.scenario.name() == name);
                match before {
                    Some(rounds) => rounds.rounds.push(round),
                    None => all.push(Rounds {
                        scenario,
                        server,
                        ran_with,
                        rounds: vec![round],
                    }),
                }
            }
        }
    }
    Ok(all)
}
