//! TLS for the HTTP client, whose own needs other features of it than we choose.

use std::fmt;
use std::io::{self, Read, Write};

use rustls::{ClientConnection, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

/// Says how connections of the HTTP client are encrypted.
pub trait ClientTls: fmt::Debug + Send + Sync + 'static {
    /// Returns our end of a new connection; `None` where it is not encrypted.
    ///
    /// # Errors
    /// There cannot be one.
    fn begin(&self) -> io::Result<Option<ClientConnection>>;

    /// Returns the bytes that go before everything else, also before the encryption.
    fn preamble(&self) -> &[u8] {
        &[]
    }
}

/// Encrypts the connections of the HTTP client, as `T` says.
#[derive(Debug)]
pub struct ClientEncryption<T>(pub T);

impl<T: ClientTls, In: Transport> Connector<In> for ClientEncryption<T> {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(mut transport) = chained else {
            return Ok(None);
        };
        let preamble = self.0.preamble();
        if !preamble.is_empty() {
            transport.buffers().output()[..preamble.len()].copy_from_slice(preamble);
            transport.transmit_output(preamble.len(), details.timeout)?;
        }
        let Some(mut connection) = self.0.begin()? else {
            return Ok(Some(Either::A(transport)));
        };
        let clock = details.current_time.clone();
        let mut socket = TransportAdapter::new(transport.boxed(), clock);
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let config = &details.config;
        Ok(Some(Either::B(Encrypted {
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            stream: StreamOwned::new(connection, socket),
        })))
    }
}

/// An encrypted connection.
pub struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").finish_non_exhaustive()
    }
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let length = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(length);
        Ok(length > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
