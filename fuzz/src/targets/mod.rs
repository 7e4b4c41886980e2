//! One file for each room, and the table of them all.

use crate::Target;

mod core;
mod notary;
mod seal;
mod trade;
mod transport;
mod tree;

/// Every target; `scripts/fuzz.sh` runs them all.
pub const TARGETS: &[Target] = &[
    Target { name: "tree_inclusion", longest: 9_000, run: tree::inclusion },
    Target { name: "tree_exclusion", longest: 9_000, run: tree::exclusion },
    Target { name: "tree_consistency", longest: 4_096, run: tree::consistency },
    Target { name: "tree_growth", longest: 1_024, run: tree::growth },
    Target { name: "tree_operations", longest: 1_024, run: tree::operations },
    Target { name: "core_message", longest: 8_192, run: core::message },
    Target { name: "core_object", longest: 8_192, run: core::object },
    Target { name: "core_packet", longest: 4_096, run: core::packet },
    Target { name: "core_hello", longest: 4_096, run: core::hello },
    Target { name: "core_change", longest: 8_192, run: core::change },
    Target { name: "core_evidence", longest: 8_192, run: core::evidence },
    Target { name: "core_fork", longest: 1_024, run: core::fork },
    Target { name: "core_invoice", longest: 2_048, run: core::invoice },
    Target { name: "core_policy", longest: 1_024, run: core::policy },
    Target { name: "notary_proof", longest: 4_096, run: notary::proof },
    Target { name: "notary_request", longest: 1_024, run: notary::request },
    Target { name: "notary_token", longest: 8_192, run: notary::token },
    Target { name: "notary_call", longest: 4_096, run: notary::call },
    Target { name: "notary_batch", longest: 2_048, run: notary::batch },
    Target { name: "notary_block", longest: 8_192, run: notary::block },
    Target { name: "notary_gossip", longest: 4_096, run: notary::gossip },
    Target { name: "notary_store", longest: 8_192, run: notary::store },
    Target { name: "notary_audit", longest: 16_384, run: notary::audit },
    Target { name: "seal_keystore", longest: 1_100, run: seal::keystore },
    Target { name: "seal_journal", longest: 160, run: seal::journal },
    Target { name: "seal_proof", longest: 128, run: seal::proof },
    Target { name: "seal_certificate", longest: 256, run: seal::certificate },
    Target { name: "seal_revocation", longest: 1_024, run: seal::revocation },
    Target { name: "seal_request", longest: 4_096, run: seal::request },
    Target { name: "seal_answer", longest: 1_024, run: seal::answer },
    Target { name: "seal_authority", longest: 4_096, run: seal::authority },
    Target { name: "transport_session", longest: 2_048, run: transport::session },
    Target { name: "transport_hello", longest: 2_048, run: transport::hello },
    Target { name: "transport_frame", longest: 1_024, run: transport::frame },
    Target { name: "transport_qr", longest: 4_096, run: transport::qr },
    Target { name: "device_trade", longest: 512, run: trade::trade },
];
