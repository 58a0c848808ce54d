//! A component that is no application: it exports an interface of its own and
//! not the gateway's.
//! For: such a component is refused when it is loaded.

wit_bindgen::generate!({
    inline: r#"
        package acme:thing@1.2.3;

        interface other {
            answer: func() -> u32;
        }

        world exports {
            export other;
        }
    "#,
});

struct Other;

impl exports::acme::thing::other::Guest for Other {
    fn answer() -> u32 {
        42
    }
}

export!(Other);
