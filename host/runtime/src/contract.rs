//! The interfaces that several worlds share, generated once from `wit/`. Every world's own bindings refer to
//! these types, so that a `table` is the same Rust type wherever it crosses the boundary.

use crate::lend;

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package millrace:host;
        world lent {
            import millrace:stage/failure@0.1.0;
            import millrace:stage/model@0.1.0;
            import millrace:stage/columns@0.1.0;
            import millrace:stage/comparison@0.1.0;
            import millrace:stage/catalog@0.1.0;
            import millrace:stage/rows@0.1.0;
            import millrace:stage/log@0.1.0;
            import millrace:stage/progress@0.1.0;
            import millrace:stage/tables@0.1.0;
        }
    ",
    world: "millrace:host/lent",
    imports: { default: trappable },
    with: {
        "millrace:stage/catalog.session": lend::Session,
        "millrace:stage/comparison.table-pair": lend::Pair,
        "millrace:stage/rows.batch": lend::HeldBatch,
        "millrace:stage/rows.reader": lend::Reader,
        "millrace:stage/rows.writer": lend::Writer,
        "millrace:stage/tables.admin": lend::Admin,
    },
});

pub(crate) use millrace::stage::*;
