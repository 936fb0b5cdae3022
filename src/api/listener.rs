//! The listening socket.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

/// Connections that may wait to be accepted; the kernel may allow fewer.
const BACKLOG: i32 = 4096;

/// Opens the listening socket.
///
/// # Errors
/// Say which address is meant, and what can be done.
pub(super) fn open(address: SocketAddr) -> io::Result<TcpListener> {
    try_open(address).map_err(|error| {
        let cure = match error.kind() {
            ErrorKind::AddrInUse => "the address is in use: stop the other program or set server.listen to another port",
            ErrorKind::AddrNotAvailable => "this machine has no such address: set server.listen to one that it has",
            ErrorKind::PermissionDenied => "not permitted: ports below 1024 need a privilege; set server.listen to another port",
            _ => return io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")),
        };
        io::Error::new(error.kind(), format!("cannot listen on {address}: {cure}"))
    })
}

fn try_open(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    // A restart must not wait for the connections of the server before.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_told_with_the_cure() {
        let first = open(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = first.local_addr().unwrap();
        let error = open(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()), "{error}");
        assert!(error.to_string().contains("server.listen"), "{error}");
    }

    #[test]
    fn an_address_of_another_machine_is_told() {
        let error = open(SocketAddr::from(([192, 0, 2, 1], 0))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    }
}
