//! What the host offers, and all types that several interfaces share.
#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)] // generated from wit/

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package millrace:sdk;
        world imports {
            import millrace:stage/failure@0.1.0;
            import millrace:stage/model@0.1.0;
            import millrace:stage/columns@0.1.0;
            import millrace:stage/log@0.1.0;
            import millrace:stage/progress@0.1.0;
            import millrace:stage/catalog@0.1.0;
            import millrace:stage/rows@0.1.0;
            import millrace:stage/comparison@0.1.0;
            import millrace:stage/tables@0.1.0;
        }
    ",
    generate_all,
    generate_unused_types: true,
});
