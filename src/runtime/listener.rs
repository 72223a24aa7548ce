//! The listeners of the workers, which share one port.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::limits::LISTEN_BACKLOG;

/// Fails where another process listens on `address`. Because the port is shared, a second server of the same user could
/// otherwise join unnoticed, and take half of the connections.
pub(super) fn check_free(address: SocketAddr) -> io::Result<()> {
    let socket = new_socket(address)?;
    socket.bind(&address.into())?;
    socket.listen(1)
}

/// Binds `address` for one worker of this process. No client can connect before [`listen`].
pub(super) fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = new_socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Accepted connections inherit it, which saves each of them a system call.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    // Before anybody listens, this makes the bind of another server fail.
    socket.set_reuse_address(false)?;
    Ok(socket)
}

/// Listens on a bound socket. Connections inherit that the address may be reused, so that the next start can bind it at
/// once.
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
        listen(bind(address).expect("the port is shared")).expect("by all workers");
        assert!(check_free(address).is_err(), "another server is refused");
    }

    #[test]
    fn a_bound_address_is_taken_before_anybody_listens() {
        let first = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = first.local_addr().expect("bound").as_socket().expect("IP");
        let second = bind(address).expect("the port is shared");
        assert!(check_free(address).is_err(), "another server is refused");
        assert!(TcpStream::connect(address).is_err(), "nobody listens");
        for socket in [first, second] {
            listen(socket).expect("it is ours");
        }
        check_free(address).expect("it is free again");
    }
}
