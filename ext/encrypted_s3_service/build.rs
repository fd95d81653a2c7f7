//! Tells rustc the version of Ruby, so that `cfg(ruby_gte_3_4)` and its like work.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    rb_sys_env::activate()?;
    Ok(())
}
