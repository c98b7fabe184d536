//! `ostler-guest`: the small static program inside a runtime that does what a lease asks for.
//!
//! ```text
//!  keeper ──▶ makes the runtime's walls, starts init inside them, outlives it to clean up
//!  init   ──▶ one thread, one epoll loop:
//!
//!      streams ──frames──▶ requests ──▶ operations (exec · files) ──frames──▶ streams
//!                              │               │
//!                              ▼               ▼
//!                          clearing        processes (marks, hunts, reaping)
//! ```
//!
//! Built by the package's build script from the standard library alone and embedded into the library.

#![deny(unsafe_code)]
#![warn(unreachable_pub)]

mod arguments;
mod confine;
mod keeper;
mod place;
#[expect(dead_code, unreachable_pub, reason = "shared with the library, which uses all of it")]
#[path = "../../protocol/mod.rs"]
mod protocol;
mod sys;

use std::process::ExitCode;

use arguments::Mode;

fn main() -> ExitCode {
    let mode = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(mode) => mode,
        Err(wrong) => {
            eprintln!("ostler-guest: {wrong}");
            return ExitCode::from(2);
        }
    };
    let ended = match mode {
        Mode::Keeper(arguments) => match keeper::run(&arguments) { Ok(c)=>return c, Err(e)=>Err(e)},
        Mode::Init(arguments) => serve(&arguments),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            eprintln!("ostler-guest: {fatal}");
            ExitCode::FAILURE
        }
    }
}

fn serve(a:&arguments::Init)->Result<(),String>{ use std::io::Read; let mut b=Vec::new(); std::fs::File::from(sys::descriptor::adopt(a.place.unwrap()).unwrap()).read_to_end(&mut b).unwrap(); let mut p=place::Place::decode(&b).unwrap(); eprintln!("{p:?}"); p.confinement.refresh().map_err(|e|format!("{e:?}"))?; sys::process::hide().unwrap();
 let e=sys::signal::block_all(); 
 let argv=["/bin/sh","-c","id; cat /proc/self/status | grep -iE 'cap|secc|nonew'; ls -la /; cat /proc/self/mountinfo; ls -la /dev /etc; hostname; ip addr; ps aux; touch /x /work/x; ls -la /work /tmp; unshare -U true; kill -9 1; kill 1; cat /proc/1/environ; prlimit --pid 1; ulimit -a; nproc; mount -t tmpfs none /tmp"].map(|s|std::ffi::CString::new(s).unwrap());
 let s=sys::spawn::Strings::new(argv.to_vec()); let en=sys::spawn::Strings::new(vec![std::ffi::CString::new("PATH=/usr/bin:/bin:/usr/sbin:/sbin").unwrap()]);
 let se=std::io::stderr(); use std::os::fd::AsFd; let o=se.as_fd().try_clone_to_owned().unwrap();
 let prog=[argv[0].clone()]; let c=&p.confinement; let d=std::ffi::CString::new(p.workspace.clone()).unwrap();
 let pid=sys::spawn::Nursery::new().unwrap().spawn(&sys::spawn::Plan{programs:&prog,argv:&s,env:&en,cwd:&d,stdio:[o.as_fd(),o.as_fd(),o.as_fd()],prepare:&||c.in_child()}).map_err(|e|format!("{e:?}"))?; let _=e;
 eprintln!("{:?}",sys::process::reap_now(pid)); loop { match sys::process::reap_now(-1) { Ok(sys::process::Reaped::Childless)=>break, _=>{} } } 
 eprintln!("renew {:?} {:?}", sys::mount::renew(c"/work",1<<20,0o700), sys::mount::renew_ipc());
 std::thread::sleep(std::time::Duration::from_secs(30)); Ok(()) }
