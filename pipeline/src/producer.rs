//! A producer that lives in a daemon: an input for what came without an origin, or a maker of roll-ups.

use metlog_core::{
    ENV_VERSION, process,
    wire::{
        batch::{Builder, Header, ProducerId, Role},
        record::Identity,
    },
};

use crate::intake::Intake;

/// Gives batches the identity and the sequence numbers of one producer of this daemon. The identity belongs to the
/// spool, so it outlives restarts; the numbers go on where the ledger says.
pub struct OwnProducer {
    intake: Intake,
    header: Header,
    next_sequence: u64,
}

impl OwnProducer {
    /// The producer `name` of the daemon whose intake this is.
    #[must_use]
    pub fn new(intake: &Intake, name: &str, role: Role) -> Self {
        let producer = derive(intake.spool().id().id, name);
        let hostname = process::hostname();
        let pid = i64::from(std::process::id());
        let identity = Identity { env_version: ENV_VERSION, pid, hostname: &hostname };
        let header = Header { role, ..Header::new(producer, identity, name) };
        Self { intake: intake.clone(), header, next_sequence: 0 }
    }

    /// Who it is.
    #[must_use]
    pub fn id(&self) -> ProducerId {
        self.header.producer
    }

    /// Its host, process and envelope version, for the messages it makes.
    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        self.header.identity()
    }

    /// A batch that begins after the last one, whether that was made here or before a restart.
    #[must_use]
    pub fn batch(&mut self) -> Builder {
        self.next_sequence = self.next_sequence.max(self.intake.next_sequence(self.header.producer));
        Builder::new(Header { first_sequence: self.next_sequence, ..self.header.clone() })
    }

    /// The frame of a batch; the next one begins after it.
    #[must_use]
    pub fn finish(&mut self, mut batch: Builder) -> Vec<u8> {
        self.next_sequence += batch.span();
        batch.header_mut().attempted = self.next_sequence;
        batch.finish()
    }
}

/// The identity of the producer `name` of the spool `id`: 64-bit FNV-1a of the name over the second half of the id.
fn derive(id: [u8; 16], name: &str) -> ProducerId {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = u128::from_be_bytes(id) ^ u128::from(hash);
    ProducerId(mixed.to_be_bytes())
}
