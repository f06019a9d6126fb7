//! A clone's files, in memory.
//!
//! Next: [`crate::engine`].

use std::path::Path;

use crate::{
    arguments::Arguments,
    bare,
    engine::{self, Engine, Mode},
    lock, manifest, pages, parts, rename,
    rename::STAMP,
    source,
    tree::Tree,
};

/// A clone that is not written yet.
pub(crate) struct Clone {
    pub(crate) tree: Tree,
    pub(crate) engine: Engine,
}

impl Clone {
    /// The clone `name` of `template`, for the folder `target`.
    ///
    /// # Errors
    /// When the template is not as expected, the engine cannot be had, or cargo refuses the result.
    pub(crate) fn of(
        template: &Tree,
        name: &str,
        root: &Path,
        target: &Path,
        arguments: &Arguments,
    ) -> Result<Self, String> {
        let source = source::of(root, arguments)?;
        let was = rename::name_of(template)?;
        let mut tree = files(template, name, arguments.bare)?;
        if was != *name {
            let left = rename::leftovers(&tree, &was, name);
            if !left.is_empty() {
                return Err(format!("still named {was}, in places that no edit knows:\n  {}", left.join("\n  ")));
            }
        }
        let engine = Engine::choose(root, &source, target, arguments)?;
        engine::depend(&mut tree, template, &engine)?;
        let stamp = stamp(root, &was, name, &source, &engine, arguments.bare)?;
        tree.set(STAMP, stamp);
        if arguments.render.is_none() {
            lock::refresh(&mut tree, root, &engine)?;
        }
        Ok(Self { tree, engine })
    }
}

/// The files, but for how they depend on the engine.
fn files(template: &Tree, name: &str, is_bare: bool) -> Result<Tree, String> {
    let mut tree = template.clone();
    let text = manifest::one_package(tree.text("Cargo.toml")?);
    tree.set("Cargo.toml", text);
    parts::leave_out(&mut tree)?;
    if is_bare {
        bare::strip(&mut tree, template)?;
    }
    pages::mend(&mut tree, template)?;
    rename::rename(&mut tree, name)?;
    Ok(tree)
}

/// Where the clone comes from.
fn stamp(root: &Path, template: &str, name: &str, source: &str, engine: &Engine, bare: bool) -> Result<String, String> {
    let tree = source::tree(root)?;
    let Engine { mode, commit, .. } = engine;
    // By git, Cargo.lock has the engine's commit; by path, it is the folder's.
    let vendored = if *mode == Mode::Vendor { format!("engine_commit = \"{commit}\"\n") } else { String::new() };
    Ok(format!(
        "# Where this service comes from; `make template-update` and `make engine-update` read it, and move the commits on.\n\
         template = \"{template}\"\nsource = \"{source}\"\ncommit = \"{commit}\"\ntree = \"{tree}\"\nname = \"{name}\"\n\
         bare = {bare}\nengine = \"{mode}\"\n{vendored}"
    ))
}
