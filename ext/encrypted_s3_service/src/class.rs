//! Defining the Ruby classes of the binding's own types.

use magnus::{Error, Module, RClass, RModule, Ruby, TypedData};

/// Defines the class `name` in `native`, and makes magnus look it up at once. `name` is the last part of the name in
/// the type's `#[magnus(class = …)]`.
///
/// Otherwise magnus looks a class up when its first object is made, in a `OnceLock`, and calls Ruby there. If Ruby then
/// switches to another thread that makes its first object of the class, that thread waits for the `OnceLock` with the
/// GVL held, and the process hangs. No other thread can use the class yet while it is being defined.
pub fn define<T: TypedData>(ruby: &Ruby, native: RModule, name: &str) -> Result<RClass, Error> {
    native.define_class(name, ruby.class_object())?;
    Ok(T::class(ruby))
}
