//! A worker's own listener on the shared port.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::limits::LISTEN_BACKLOG;

/// Fails where somebody listens on `address` already. Sharing the port would let a second server of
/// the same user join in unseen, and take half of the connections.
pub(super) fn check_free(address: SocketAddr) -> io::Result<()> {
    let socket = new_socket(address)?;
    socket.bind(&address.into())?;
    socket.listen(1)
}

/// Takes `address` for this process, together with the other workers. Nobody can connect before
/// [`listen`].
pub(super) fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = new_socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Accepted connections inherit it, which saves each of them a system call.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    // As long as nobody listens, this is what makes another server find the address taken.
    socket.set_reuse_address(false)?;
    Ok(socket)
}

/// Lets clients connect. Connections inherit that the address may be used again at once, for the next
/// start.
pub(super) fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.set_reuse_address(true)?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_port_is_shared_and_nodelay_inherited() {
        let first = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let first = listen(first).expect("it is ours");
        let address = first.local_addr().expect("bound");
        first.set_nonblocking(false).expect("a plain socket");
        let client = TcpStream::connect(address).expect("listening");
        let (accepted, _) = first.accept().expect("a connection waits");
        assert!(accepted.nodelay().expect("a TCP socket"));
        drop(client);
        listen(bind(address).expect("the port is shared")).expect("by all who listen");
        assert!(check_free(address).is_err(), "another server is noticed");
    }

    #[test]
    fn an_address_is_taken_and_closed_until_somebody_listens() {
        let first = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = first.local_addr().expect("bound").as_socket().expect("IP");
        let second = bind(address).expect("the port is shared");
        assert!(check_free(address).is_err(), "another server is noticed");
        assert!(TcpStream::connect(address).is_err(), "nobody listens");
        for socket in [first, second] {
            listen(socket).expect("it is ours");
        }
        check_free(address).expect("it is free again");
    }
}
