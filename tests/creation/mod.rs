//! Sales of many listed items come to be while everything else goes on, in whatever order, or not at
//! all; and the journal leads to the same state.

mod gate;
mod hall;

mod bounds;
mod failing;
mod together;
