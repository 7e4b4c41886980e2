//! Prints.
use tally_bench::scene::*;
use tally_bench::timing::*;
use tally_bench::sizes;
fn main() {
    println!("{:?}", sizes::step_proofs(4096));
    let t = sizes::repeat_payments(50);
    println!("{:?} {:?}", t[0], sizes::Spread::of(t.iter().map(|t| t.to_final())));
    let t = sizes::sealed_payments(50);
    println!("{:?} {:?}", t[0], sizes::Spread::of(t.iter().map(|t| t.to_final())));
    println!("{:?}", sizes::invoice_flow());
    println!("{:?} {:?}", sizes::relationship(1), sizes::relationship(200));
    let mut scene = Scene::new(256, Lock::Signature);
    scene.pay();
    let a = tally_core::count::signatures();
    scene.pay();
    let b = tally_core::count::signatures();
    println!("sign {} verify {}", b.0 - a.0, b.1 - a.1);
    let key = scene.payer.key.clone();
    let public = key.public();
    let d = tally_core::id::Digest::new([5;32]);
    let sig = key.sign(&d);
    let mut p=vec![]; let mut s=vec![]; let mut v=vec![];
    for _ in 0..200 {
        p.push(time(|| {scene.pay();}));
        s.push(time(|| {std::hint::black_box(key.sign(&d));}));
        v.push(time(|| {assert!(public.verify(&d,&sig));}));
    }
    let (p,s,v)=(Samples::new(p),Samples::new(s),Samples::new(v));
    println!("pay {} sign {} verify {} ratio {}", p.median(), s.median(), v.median(), p.median()/(2.0*s.median()+3.0*v.median()));
}
