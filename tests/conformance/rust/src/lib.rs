//! Nothing is shared by the cases: each application is whole in its one file, as an author would write
//! it.
