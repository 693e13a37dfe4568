//! `cargo stack parity`: what the clusters of stages local and ci really held, compared.

use std::process::ExitCode;

use harness::cluster::Home;
use harness::project::Project;
use harness::release::Held;
use harness::release::parity::{self, Difference};
use harness::run::read_json;
use harness::settings::Settings;
use harness::stage::Stage;
use harness::{Error, Result};

pub fn run(settings: &Settings) -> Result<ExitCode> {
    let (local, ci) = (held(settings, Stage::Local)?, held(settings, Stage::Ci)?);
    let differences = parity::differences(&local.objects, &ci.objects);
    let (images, others): (Vec<_>, Vec<_>) = differences.into_iter().partition(Difference::is_image_reference);
    let width = local.objects.iter().map(|object| parity::title(object).len()).max().unwrap_or_default();
    println!("{:width$}  fields  stages local and ci", "object");
    for object in &local.objects {
        let title = parity::title(object);
        let count = |list: &[Difference]| list.iter().filter(|difference| difference.object == title).count();
        let verdict = match (count(&others), count(&images)) {
            (0, 0) => "the same".to_owned(),
            (0, images) => format!("the same but for image references: {images}"),
            (others, _) => format!("DIFFERENT in fields: {others}"),
        };
        println!("{title:width$}  {:6}  {verdict}", parity::fields(object));
    }
    for difference in &others {
        println!("{difference}");
    }
    let fields: usize = local.objects.iter().map(parity::fields).sum();
    println!(
        "{} objects, {fields} fields; different image references: {}; other differences: {}  (revisions {} and {})",
        local.objects.len(),
        images.len(),
        others.len(),
        local.revision,
        ci.revision
    );
    Ok(if others.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn held(settings: &Settings, stage: Stage) -> Result<Held> {
    let home = Home::of(settings, &Project::find(settings)?, stage)?;
    read_json(&home.held())?.ok_or_else(|| {
        Error::refused(
            format!("stage {stage} has deployed nothing here yet"),
            format!("JETSCALE_STAGE={stage} cargo stack up, then cargo stack parity"),
        )
    })
}
