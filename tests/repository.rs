//! Rules that the sources and the files beside them keep, as far as a program can read them.

mod image;
mod layering;
